"""Platforms of real processes, in every combination of parts that is supported."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import servers
from devtools.platform_process import WholePlatform

FAST_RESCUE = {"LEASE_SECONDS": "3", "RECONCILE_SECONDS": "1"}


@pytest.fixture(scope="session")
def backbones(pytestconfig: pytest.Config) -> Path:
    """Where prepared ones stay from run to run, those of the unit tests too."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("backbones")


PARTS = [
    pytest.param((), id="sqlite-folder-filesystem"),
    pytest.param(("postgres", "s3", "redis"), id="postgres-s3-redis", marks=pytest.mark.servers),
    pytest.param(("postgres", "s3", "rabbitmq"), id="postgres-s3-rabbitmq", marks=pytest.mark.servers),
]


@pytest.fixture(scope="module", params=PARTS)
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, backbones: Path
) -> Iterator[WholePlatform]:
    """A whole platform on the named parts, as `make run` starts it."""
    with contextlib.ExitStack() as stack:
        env: dict[str, str] = {}
        if "postgres" in request.param:
            env["DATABASE_URL"] = stack.enter_context(servers.postgres_database())
        if "s3" in request.param:
            env |= stack.enter_context(servers.s3_server()).env
        if "redis" in request.param:
            env |= stack.enter_context(servers.redis_prefix())
        if "rabbitmq" in request.param:
            env |= stack.enter_context(servers.rabbitmq_vhost())
        home = tmp_path_factory.mktemp("whole") / "home"
        yield stack.enter_context(WholePlatform(home, env=env, backbones=backbones))
