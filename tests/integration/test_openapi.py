"""The OpenAPI description told to a fuzzer: no answer may be a fault of ours, none undocumented."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.platform_process import ROOT, PlatformProcess

SECONDS = 35
EXAMPLES = 25  # of each call, before time is up
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
NOT_LIMITED = "user=none,address=none,predict-token=none,predict-address=none,upload=none"
# What a user of the API has: an account, and one of everything that addresses name.
POPULATE = """
import json
from django.utils import timezone
from knox.models import AuthToken
from models_registry.services import retire_model
from tests.factories import DatasetFactory, TrainingJobFactory, UserFactory
from tests.tiny_models import live_colour_model
owner = UserFactory()
live, retired = live_colour_model(owner=owner), live_colour_model(owner=owner)
retire_model(model=retired)
dataset = DatasetFactory(owner=owner)
queued = TrainingJobFactory(dataset=dataset)
failed = TrainingJobFactory(dataset=dataset, state="failed", finished_at=timezone.now())
print(json.dumps({
    "api_token": AuthToken.objects.create(user=owner)[1],
    "live": live.token, "retired": retired.token,
    "dataset": dataset.pk, "queued": queued.pk, "failed": failed.pk,
}))
"""
SIGNED_IN = """
[auth.openapi.apiToken]
api_key = "Token {api_token}"
"""
WHAT_IS_THERE = """
[[operations]]
include-path-regex = "/models/"
parameters = {{ "path.token" = "{live}" }}

[[operations]]
include-path-regex = "/restore/"
parameters = {{ "path.token" = "{retired}" }}

[[operations]]
include-path-regex = "/datasets/"
parameters = {{ "path.id" = "{dataset}" }}

[[operations]]
include-path-regex = "/jobs/"
parameters = {{ "path.id" = "{queued}" }}

[[operations]]
include-path-regex = "/retry/"
parameters = {{ "path.id" = "{failed}" }}
"""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[PlatformProcess]:
    env = {"THROTTLE_RATES": NOT_LIMITED, "CELERY_BROKER_URL": "memory://"}
    with PlatformProcess(tmp_path / "home", worker=False, env=env) as platform:
        yield platform


@pytest.mark.parametrize("whose", ["known", pytest.param("made up", marks=pytest.mark.long)])
def test_every_answer_is_documented(web: PlatformProcess, tmp_path: Path, whose: str) -> None:
    """Ask with addresses of things that are there, and with whatever the fuzzer makes up."""
    there = json.loads(web.manage("shell", "-v0", "-c", POPULATE).stdout.splitlines()[-1])
    config = tmp_path / "schemathesis.toml"
    text = SIGNED_IN + (WHAT_IS_THERE if whose == "known" else "")
    config.write_text(text.format(**there))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(config), "run", f"{web.base_url}/api/v1/schema/"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES), "--max-time", str(SECONDS), "--request-timeout", "20"),
            # One thread: Python 3.11 may fail to parse source in two at a time (SystemError: AST constructor …).
            *("--workers", "1", "--seed", "1", "--suppress-health-check", "all", "--no-color"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-12000:]}\n{done.stderr[-2000:]}\n{web.log('web')}"
