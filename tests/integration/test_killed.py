"""Processes killed in mid-job: the job still ends, once."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.platform_process import ROOT, PlatformProcess

SAMPLES = ROOT / "samples"
PATIENCE = 90.0


def wait_until(what: str, holds: Callable[[], Any]) -> Any:
    """Return the first true value of `holds`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := holds():
            return value
        time.sleep(0.01)
    pytest.fail(f"Not within {PATIENCE:g} s: {what}")


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def trainers_of(platform: PlatformProcess) -> list[int]:
    """Return the trainers: children of the forkserver, which is a child of the worker."""
    assert platform.worker is not None
    return [trainer for server in children_of(platform.worker.pid) for trainer in children_of(server)]


def submit(platform: PlatformProcess) -> str:
    """Submit the text sample and return the token once its trainer runs."""
    job = platform.manage_json(
        "submit", "--task", "textclassification", "--data", str(SAMPLES / "banking.csv"), "--name", "Banking"
    )
    return str(job["token"])


def models_in(platform: PlatformProcess) -> int:
    done = platform.manage(
        "shell",
        "-v0",
        "-c",
        "from models_registry.models import RegisteredModel as M; print(M.objects.count())",
    )
    return int(done.stdout.splitlines()[-1])


def assert_ended_once(platform: PlatformProcess, job: dict[str, Any], *, attempt: int) -> None:
    assert (job["state"], job["attempt"]) == ("succeeded", attempt)
    assert models_in(platform) == 1
    assert platform.manage_json("reconcile")["rescued"] == {}
    assert platform.manage_json("sync_documents", "--check") == {"documents": "ok"}
    status = (platform.home / "bucket" / "status.json").read_text()
    assert '"sleeping"' in status
    assert not (platform.home / "bucket" / "training" / "training.json").exists()
    attempts = list((platform.home / "bucket" / "textclassification" / job["token"]).iterdir())
    assert [folder.name for folder in attempts] == [str(attempt)]


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
    sleeper = embedded.worker
    assert sleeper is not None
    os.killpg(sleeper.pid, signal.SIGSTOP)
    try:
        embedded.start_worker(wait_until_warm=False)
        job = embedded.manage_json("job", token, "--wait", "--timeout", str(PATIENCE))
    finally:
        os.killpg(sleeper.pid, signal.SIGCONT)
    wait_until(
        "the sleeper gives up", lambda: "job.attempt_stale" in embedded.log("worker", characters=50_000)
    )
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
    assert models_in(embedded) == 0
    assert embedded.manage_json("sync_documents", "--check") == {"documents": "ok"}
