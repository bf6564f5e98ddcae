"""Versions change under load: every answer is of one version as a whole, none fails, and a kill loses nothing."""

import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devtools.platform_process import PlatformProcess
from tests.tiny_models import picture

from .jobs import wait_until

CLIENTS = 8
MOVES = 200
RED = picture("red")

MAKE = """
import hashlib
from io import BytesIO
from bucket.factory import get_bucket
from models_registry.projects.versions import promote_version
from tests.factories import ArtifactFactory
from tests.tiny_models import colour_model, live_colour_model
first = live_colour_model()
second = live_colour_model(project=first.project, owner=first.owner)
file = second.artifacts.get()
content = colour_model(str(second.public_id)).replace(b'"red"', b'"RED"')
get_bucket().delete(file.key)
get_bucket().save(file.key, BytesIO(content))
file.sha256, file.size = hashlib.sha256(content).hexdigest(), len(content)
file.save()
promote_version(project=first.project, version=1)
print(first.project.token)
"""
MOVE = """
from models_registry.models import Project
from models_registry.projects.versions import promote_version, roll_back
project = Project.objects.get()
for number in range({moves}):
    (roll_back if number % 2 else promote_version)(project=project, **({{}} if number % 2 else {{"version": 2}}))
"""
STEPS = ["Alias.save", "AliasMove.save", "mark_changed", "commit"]  # only the last one leaves a change
KILL = """
from django.db import connection, transaction
from documents import outbox
from models_registry.models import Alias, AliasMove, Project
from models_registry.projects import versions

def dies(*_, **__):
    os._exit(9)

step = {step!r}
if step == "Alias.save":
    Alias.save = dies
elif step == "AliasMove.save":
    AliasMove.save = dies
elif step == "mark_changed":
    versions.mark_changed = dies
else:
    connection.run_and_clear_commit_hooks = dies
versions.promote_version(project=Project.objects.get(), version=2)
"""
STATE = """
from models_registry.models import Alias, AliasMove
from models_registry.models import RegisteredModel as M
print([a.model.version for a in Alias.objects.all()], AliasMove.objects.count(), M.objects.live().count())
"""


def answered(mine: Counter[tuple[int, int, str]]) -> int:
    """Return how many answers a client has had, while its thread goes on counting."""
    return sum(list(mine.values()))


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformProcess]:
    env = {"WEB_CONCURRENCY": "2", "THROTTLE_RATES": "predict-token=none,predict-address=none"}
    with PlatformProcess(tmp_path / "home", worker=False, env=env) as platform:
        yield platform


def run(platform: PlatformProcess, code: str, *, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return platform.manage("shell", "--no-imports", "-c", code, check=check)


def test_promotions_under_load_fail_no_call(platform: PlatformProcess) -> None:
    token = run(platform, MAKE).stdout.strip().splitlines()[-1]
    answers: list[Counter[tuple[int, int, str]]] = [Counter() for _ in range(CLIENTS)]
    over = threading.Event()

    def ask(mine: Counter[tuple[int, int, str]]) -> None:
        address = f"{platform.base_url}/api/v1/models/{token}/predict/"
        with requests.Session() as session:
            while not over.is_set():
                answer = session.post(address, files={"file": ("red.png", RED)}, timeout=30)
                body = answer.json()
                mine[answer.status_code, body.get("version", 0), body["predictions"][0]["label"]] += 1

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in answers]
    for thread in threads:
        thread.start()
    try:
        run(platform, MOVE.format(moves=MOVES))
        before = [answered(mine) for mine in answers]
        wait_until(
            "each client has asked after the last move",
            lambda: all(answered(mine) > then + 1 for mine, then in zip(answers, before, strict=True)),
        )
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert {*sum(answers, Counter())} == {(200, 1, "red"), (200, 2, "RED")}
    assert all(sum(mine.values()) > 5 for mine in answers)
    platform.manage("sync_documents", "--check")
    assert run(platform, STATE).stdout.strip().splitlines()[-1] == f"[1] {MOVES + 1} 2"


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """A project whose first version is in production; steps that change nothing leave it so."""
    home = tmp_path_factory.mktemp("promotion") / "home"
    with PlatformProcess(home, web=False, worker=False) as platform:
        run(platform, MAKE)
        yield platform


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_of_a_promotion(two_versions: PlatformProcess, step: str) -> None:
    assert run(two_versions, KILL.format(step=step), check=False).returncode == 9
    moved = step == STEPS[-1]
    found = run(two_versions, STATE).stdout.strip().splitlines()[-1]
    assert found == ("[2] 2 2" if moved else "[1] 1 2")
    two_versions.manage("reconcile")
    two_versions.manage("sync_documents", "--check")
