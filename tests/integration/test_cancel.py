"""A cancelled training stops within seconds, whatever it is at."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools.platform_process import PlatformProcess

from .jobs import SAMPLES, submit, trainers_of, wait_until

ANSWERS_WITHIN = 3.0  # seconds
ROWS = 4_000  # enough that each phase lasts longer than news of it takes
PHASES = ("features", "fit", "train", "export", "verify")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, backbones: Path) -> Iterator[PlatformProcess]:
    home = tmp_path_factory.mktemp("cancel") / "home"
    with PlatformProcess(home, env={"THROTTLE_RATES": "user=none"}, backbones=backbones) as platform:
        platform.manage("ensure_admin")
        yield platform


@pytest.fixture(scope="module")
def api(platform: PlatformProcess) -> Iterator[requests.Session]:
    with requests.Session() as session:
        token = platform.manage("api_token", "admin").stdout.split()[-1]
        session.headers["Authorization"] = f"Token {token}"
        yield session


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's sentences again and again, each time with a number."""
    heading, *rows = (SAMPLES / "banking.csv").read_text().splitlines()
    parted = [row.rpartition(",") for row in rows if row.count('"') == 0 and row.count(",") == 1]
    many = [
        f"{text} {number},{label}" for number in range(ROWS // len(parted) + 1) for text, _, label in parted
    ]
    path = tmp_path_factory.mktemp("table") / "many.csv"
    path.write_text("\n".join([heading, *many, ""]))
    return path


@pytest.mark.long
@pytest.mark.parametrize("phase", PHASES)
def test_cancel_answers_within_seconds(
    platform: PlatformProcess, api: requests.Session, table: Path, phase: str
) -> None:
    preset = ("--preset", "accurate", "--set", "epochs=1") if phase == "train" else ("--preset", "fast")
    token = submit(platform, *preset, data_set=table)
    address = f"{platform.base_url}/api/v1/jobs/"

    def job() -> dict[str, Any]:
        found = api.get(address, params={"token": token}, timeout=10).json()["results"]
        return dict(next(one for one in found if one["token"] == token))

    pk = job()["id"]
    wait_until(f"the job is at {phase}", lambda: job()["progress"].get("phase") == phase)
    began = time.monotonic()
    answer = api.post(f"{address}{pk}/cancel/", timeout=10)
    assert answer.status_code < 300, answer.text
    wait_until("the job is cancelled", lambda: job()["state"] == "cancelled", within=60)
    took = time.monotonic() - began
    print(f"{phase}: cancelled after {took:.2f} s")
    assert took < ANSWERS_WITHIN
    assert not trainers_of(platform)
