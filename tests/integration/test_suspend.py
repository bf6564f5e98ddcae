"""Training that is interrupted on purpose or by force goes on from its checkpoint, and ends once."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.platform_process import PlatformProcess

from .conftest import FAST_RESCUE
from .jobs import PATIENCE, SAMPLES, assert_ended_once, document, kept_epoch, submit, trainers_of, wait_until

EPOCHS = 24
ROWS = 80  # few, so that an epoch is short and a checkpoint never far
TRAINING = ("--preset", "scratch", "--model", "lstm", "--set", f"epochs={EPOCHS}", "--set", "seed=3")


@pytest.fixture
def platform(tmp_path: Path, backbones: Path) -> Iterator[PlatformProcess]:
    """One attempt is all a job may fail: being suspended or stopped must not use it up."""
    env = {**FAST_RESCUE, "MAX_ATTEMPTS": "2", "CHECKPOINT_SECONDS": "0"}
    with PlatformProcess(tmp_path / "home", env=env, web=False, backbones=backbones) as platform:
        yield platform


def start(platform: PlatformProcess) -> str:
    """Submit a training of many short epochs and return the token."""
    table = platform.home / "few.csv"
    if not table.exists():
        heading, *rows = (SAMPLES / "banking.csv").read_text().splitlines()
        table.write_text(
            "\n".join([heading, *sorted(rows, key=lambda row: row.rpartition(",")[2])[:ROWS], ""])
        )
    return submit(platform, *TRAINING, data_set=table)


def switch_maintenance(platform: PlatformProcess, on: bool) -> None:
    """Edit status.json as an operator does, who knows nothing of databases."""
    path = platform.home / "bucket" / "status.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({**json.loads(path.read_text()), "dev_mode": on}))
    draft.replace(path)


def job_of(platform: PlatformProcess, token: str) -> dict[str, Any]:
    return dict(platform.manage_json("job", token))


def finished(platform: PlatformProcess, token: str) -> dict[str, Any]:
    return dict(platform.manage_json("job", token, "--wait", "--timeout", str(PATIENCE)))


def metrics_of(platform: PlatformProcess, token: str) -> dict[str, Any]:
    code = (
        "import json; from models_registry.models import RegisteredModel as M; "
        f"print(json.dumps(M.objects.get(token={token!r}).metrics))"
    )
    return dict(json.loads(platform.manage("shell", "-v0", "-c", code).stdout.splitlines()[-1]))


def losses(metrics: dict[str, Any]) -> list[float]:
    return [row["validation_loss"] for row in metrics["curve"]]


def test_maintenance_suspends_a_training_that_goes_on_afterwards(platform: PlatformProcess) -> None:
    token = start(platform)
    wait_until("a checkpoint lies in the bucket", lambda: kept_epoch(platform, token) >= 2)
    switch_maintenance(platform, on=True)
    wait_until("the trainer is gone", lambda: not trainers_of(platform))
    wait_until(
        "the platform sleeps",
        lambda: (
            document(platform, "status.json")["status"] == "sleeping"
            and not document(platform, "training/training.json")
        ),
    )
    assert document(platform, "status.json")["dev_mode"] is True
    job = job_of(platform, token)
    epoch = kept_epoch(platform, token)
    assert (job["state"], job["failures"]) == ("queued", 0)
    assert job["message"] == f"Suspended for maintenance at epoch {epoch} of {EPOCHS}."
    refused = platform.manage(
        "submit", "--task", "textclassification", "--data", os.devnull, "--name", "No", check=False
    )
    assert refused.returncode == 1
    assert "halted for maintenance" in refused.stderr

    switch_maintenance(platform, on=False)
    job = finished(platform, token)
    assert_ended_once(platform, job, attempt=2)
    metrics = metrics_of(platform, token)
    assert metrics["resumed_from_epoch"] == epoch
    assert len(metrics["curve"]) == EPOCHS
    assert document(platform, "status.json")["dev_mode"] is False


@pytest.mark.long
def test_interrupted_training_ends_as_an_uninterrupted_one_does(platform: PlatformProcess) -> None:
    token = start(platform)
    wait_until("a checkpoint lies in the bucket", lambda: kept_epoch(platform, token) >= 2)
    platform.stop_worker()
    assert job_of(platform, token)["state"] == "queued"
    platform.start_worker(wait_until_warm=False)
    interrupted = finished(platform, token)
    assert_ended_once(platform, interrupted, attempt=2)
    other = start(platform)
    finished(platform, other)
    assert losses(metrics_of(platform, token)) == losses(metrics_of(platform, other))
    assert metrics_of(platform, token)["accuracy"] == metrics_of(platform, other)["accuracy"]


@pytest.mark.long
def test_killed_worker_loses_only_what_was_learnt_since_the_checkpoint(platform: PlatformProcess) -> None:
    token = start(platform)
    epoch = wait_until("a checkpoint lies in the bucket", lambda: kept_epoch(platform, token))
    assert platform.worker is not None
    os.killpg(platform.worker.pid, signal.SIGKILL)
    platform.worker.wait()
    platform.start_worker(wait_until_warm=False)
    job = finished(platform, token)
    assert_ended_once(platform, job, attempt=2)
    assert job["failures"] == 1
    assert metrics_of(platform, token)["resumed_from_epoch"] >= epoch


@pytest.mark.long
def test_training_is_cancelled_within_seconds(platform: PlatformProcess) -> None:
    token = start(platform)
    wait_until("a checkpoint lies in the bucket", lambda: kept_epoch(platform, token))
    platform.manage("job", token, "--cancel")
    began = time.monotonic()
    wait_until("the trainer is gone", lambda: not trainers_of(platform))
    assert time.monotonic() - began < 3
    wait_until(
        "nothing is left in the bucket",
        lambda: not (platform.home / "bucket" / "training" / "jobs" / token).exists(),
    )
    assert job_of(platform, token)["state"] == "cancelled"
