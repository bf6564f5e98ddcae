"""Processes killed in mid-job: the job still ends, once."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.platform_process import PlatformProcess

from .conftest import FAST_RESCUE
from .jobs import (
    PATIENCE,
    assert_a_model_for_each_success,
    assert_ended_once,
    submit,
    trainers_of,
    wait_until,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, backbones: Path) -> Iterator[PlatformProcess]:
    """SQLite, a folder as bucket, a folder as broker; a lost worker is noticed within seconds."""
    home = tmp_path_factory.mktemp("killed") / "home"
    with PlatformProcess(home, env=FAST_RESCUE, web=False, worker=False, backbones=backbones) as platform:
        yield platform


@pytest.fixture
def embedded(shared: PlatformProcess) -> PlatformProcess:
    """The same platform for all tests: each finds a worker that runs, and nothing to do."""
    if shared.worker is None or shared.worker.poll() is not None:
        shared.start_worker()
    return shared


def noticed(platform: PlatformProcess) -> int:
    """Return how often a worker has said that its attempt is no longer the job's."""
    return platform.log("worker", characters=1_000_000).count("job.attempt_stale")


def test_killed_trainer_is_replaced(embedded: PlatformProcess) -> None:
    token = submit(embedded)
    [trainer] = wait_until("a trainer runs", lambda: trainers_of(embedded))
    os.kill(trainer, signal.SIGKILL)
    job = embedded.manage_json("job", token, "--wait", "--timeout", str(PATIENCE))
    assert_ended_once(embedded, job, attempt=2)


def test_killed_worker_is_replaced_and_takes_its_trainer_along(embedded: PlatformProcess) -> None:
    token = submit(embedded)
    [trainer] = wait_until("a trainer runs", lambda: trainers_of(embedded))
    assert embedded.worker is not None
    os.kill(embedded.worker.pid, signal.SIGKILL)
    embedded.worker.wait()
    wait_until("the trainer is gone", lambda: not Path(f"/proc/{trainer}").exists())
    embedded.start_worker(wait_until_warm=False)
    job = embedded.manage_json("job", token, "--wait", "--timeout", str(PATIENCE))
    assert_ended_once(embedded, job, attempt=2)


def test_stopped_worker_hands_its_job_back_at_once(tmp_path: Path, backbones: Path) -> None:
    # With a lease of ten minutes nothing but the worker itself can give the job back in time.
    lasting = {"LEASE_SECONDS": "600", "MAX_ATTEMPTS": "1"}
    with PlatformProcess(tmp_path / "home", env=lasting, web=False, backbones=backbones) as platform:
        token = submit(platform)
        wait_until("a trainer runs", lambda: trainers_of(platform))
        began = time.monotonic()
        platform.stop_worker()
        assert time.monotonic() - began < 15
        assert platform.manage_json("job", token)["state"] == "queued"
        platform.start_worker(wait_until_warm=False)
        job = platform.manage_json("job", token, "--wait", "--timeout", str(PATIENCE))
        assert_ended_once(platform, job, attempt=2)


def test_worker_that_sleeps_past_its_lease_publishes_nothing(embedded: PlatformProcess) -> None:
    token = submit(embedded)
    wait_until("a trainer runs", lambda: trainers_of(embedded))
    sleeper, before = embedded.worker, noticed(embedded)
    assert sleeper is not None
    os.killpg(sleeper.pid, signal.SIGSTOP)
    try:
        embedded.start_worker(wait_until_warm=False)
        job = embedded.manage_json("job", token, "--wait", "--timeout", str(PATIENCE))
    finally:
        os.killpg(sleeper.pid, signal.SIGCONT)
    wait_until("the sleeper gives up", lambda: noticed(embedded) > before)
    os.killpg(sleeper.pid, signal.SIGKILL)
    sleeper.wait()
    assert_ended_once(embedded, job, attempt=2)


def test_cancelled_job_stops_within_seconds(embedded: PlatformProcess) -> None:
    token = submit(embedded)
    wait_until("a trainer runs", lambda: trainers_of(embedded))
    embedded.manage("job", token, "--cancel")
    began = time.monotonic()
    wait_until("the trainer is gone", lambda: not trainers_of(embedded))
    assert time.monotonic() - began < 5
    job = embedded.manage_json("job", token)
    assert job["state"] in ("cancelling", "cancelled")
    done = embedded.manage("job", token, "--wait", check=False)
    assert done.returncode == 1
    assert "cancelled" in done.stdout
    assert_a_model_for_each_success(embedded)
    assert embedded.manage_json("sync_documents", "--check") == {"documents": "ok"}
