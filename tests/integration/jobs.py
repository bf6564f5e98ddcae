"""What tests of jobs in real processes share: submit, watch, look into the bucket, find processes."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devtools.platform_process import ROOT, PlatformProcess

SAMPLES = ROOT / "samples"
PATIENCE = 240.0  # seconds, on a machine that others use as well


def wait_until(what: str, holds: Callable[[], Any], *, within: float = PATIENCE, every: float = 0.01) -> Any:
    """Return the first true value of `holds`."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := holds():
            return value
        time.sleep(every)
    pytest.fail(f"Not within {within:g} s: {what}")


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


def submit(platform: PlatformProcess, *options: str, data_set: Path = SAMPLES / "banking.csv") -> str:
    """Submit texts, if nothing else is said the sample, and return the token."""
    data = ("--task", "textclassification", "--data", str(data_set), "--name", "Banking")
    return str(platform.manage_json("submit", *data, *options)["token"])


def assert_a_model_for_each_success(platform: PlatformProcess) -> None:
    """Check that every job that succeeded has registered one model, and nothing else has."""
    code = (
        "import json; from models_registry.models import RegisteredModel as M; "
        "from training.models import TrainingJob as J; "
        "tokens = lambda rows: sorted(rows.values_list('token', flat=True)); "
        "print(json.dumps([tokens(M.objects.all()), tokens(J.objects.filter(state='succeeded'))]))"
    )
    models, succeeded = json.loads(platform.manage("shell", "-v0", "-c", code).stdout.splitlines()[-1])
    assert models == succeeded


def document(platform: PlatformProcess, name: str) -> dict[str, Any]:
    """Return a document of the bucket; an empty one when it is not there."""
    path = platform.home / "bucket" / name
    return dict(json.loads(path.read_text())) if path.exists() else {}


def kept_epoch(platform: PlatformProcess, token: str) -> int:
    """Return after which epoch the newest whole checkpoint in the bucket was taken; 0 for none."""
    manifests = (platform.home / "bucket" / "training" / "jobs" / token).glob("checkpoint/*/*.json")
    epochs = []
    for manifest in manifests:
        if not manifest.stem.isdecimal():
            continue
        try:
            epochs.append(int(json.loads(manifest.read_text())["epoch"]))
        except (OSError, ValueError):  # being written, or gone again
            continue
    return max(epochs, default=0)


def is_in_step(platform: PlatformProcess) -> bool:
    """Tell whether the documents hold what the database does."""
    return platform.manage("sync_documents", "--check", check=False).returncode == 0


def assert_ended_once(platform: PlatformProcess, job: dict[str, Any], *, attempt: int) -> None:
    """Check that a job succeeded in this attempt, and that nothing is left of any other."""
    assert (job["state"], job["attempt"]) == ("succeeded", attempt)
    assert_a_model_for_each_success(platform)
    assert platform.manage_json("reconcile")["rescue jobs"]["did"] == {}
    # A killed worker may have held the writer's lease, which the next one waits for.
    wait_until("the documents are in step", lambda: is_in_step(platform), every=0.2)
    assert document(platform, "status.json")["status"] == "sleeping"
    assert not (platform.home / "bucket" / "training" / "training.json").exists()
    assert not (platform.home / "bucket" / "training" / "jobs" / job["token"]).exists()
    attempts = list((platform.home / "bucket" / "textclassification" / job["token"]).iterdir())
    assert [folder.name for folder in attempts] == [str(attempt)]
