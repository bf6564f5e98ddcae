"""Redis and RabbitMQ go away and come back: jobs are accepted, their owner is told, and nobody waits for reconcile."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from devtools import servers
from devtools.platform_process import WholePlatform
from devtools.tcp_line import TcpLine

from .jobs import SAMPLES
from .submissions import (
    administrator,
    api_session,
    job_over_rest,
    send_by_page,
    send_over_rest,
    started_job,
)

pytestmark = pytest.mark.servers

CLAIMED_WITHIN = 2.0  # seconds after the broker is back; the next reconcile is minutes away
ANSWERED_WITHIN = 8.0  # seconds, with a broker that is away
BROKERS = {"redis": servers.redis_prefix, "rabbitmq": servers.rabbitmq_vhost}


@pytest.fixture(params=list(BROKERS))
def broker(request: pytest.FixtureRequest) -> Iterator[tuple[TcpLine, dict[str, str]]]:
    """A broker behind a line that can be cut, and what a platform needs to use it."""
    with BROKERS[request.param]() as env:
        address = urlsplit(env["CELERY_BROKER_URL"])
        assert address.hostname
        assert address.port
        with TcpLine((address.hostname, address.port)) as line:
            url = env["CELERY_BROKER_URL"].replace(f":{address.port}", f":{line.port}")
            yield line, {**env, "CELERY_BROKER_URL": url, "RECONCILE_SECONDS": "300"}


@pytest.fixture
def away(
    broker: tuple[TcpLine, dict[str, str]], tmp_path: Path, backbones: Path
) -> Iterator[tuple[WholePlatform, TcpLine]]:
    """A platform whose broker has just gone away, and the line to it."""
    line, env = broker
    with WholePlatform(tmp_path / "home", env=env, backbones=backbones) as platform:
        line.cut()
        yield platform, line


def test_jobs_are_kept_told_and_claimed_when_the_broker_is_back(away: tuple[WholePlatform, TcpLine]) -> None:
    platform, line = away
    with contextlib.ExitStack() as stack:
        visitor = stack.enter_context(administrator(platform))
        api: requests.Session = stack.enter_context(api_session(platform))
        began = time.monotonic()
        sent = send_over_rest(api, platform.base_url, "Over REST")
        assert time.monotonic() - began < ANSWERED_WITHIN
        assert sent["state"] == "queued"
        assert "The message queue does not answer" in sent["notice"]
        by_page = send_by_page(visitor, SAMPLES / "banking.csv", "By page")
        assert "The message queue does not answer" in visitor.read(f"/jobs/{by_page}/")
        assert requests.get(f"{platform.base_url}/health/", timeout=10).json()["broker"] == "away"
        assert job_over_rest(api, platform.base_url, by_page)["started_at"] is None

        back = datetime.now(UTC)
        line.mend()
        job = started_job(api, platform.base_url, sent["id"])
        assert (datetime.fromisoformat(job["started_at"]) - back).total_seconds() <= CLAIMED_WITHIN
        assert job["notice"] == ""
        started_job(api, platform.base_url, by_page)  # when the first one has ended
    platform.stop()
    assert "is killed" not in platform.log("run")
