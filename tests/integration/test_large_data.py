"""Large uploads in real processes: the web answers at once, a worker looks, and no death loses or doubles one."""

import contextlib
import io
import itertools
import json
import os
import re
import signal
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from devtools import servers
from devtools.platform_process import PlatformProcess
from tests.integration.jobs import children_of, wait_until

FASTER = {"LEASE_SECONDS": "3", "RECONCILE_SECONDS": "1"}
PHOTOS = 2_100  # more than a web process looks at
SIDE = 600  # pixels: together they take a worker some seconds
PARTS = [
    pytest.param(False, id="sqlite-folder-filesystem"),
    pytest.param(True, id="postgres-s3-redis", marks=pytest.mark.servers),
]
PROJECT = """
from accounts.models import User
from tests.factories import DatasetFactory, ProjectFactory
from training.examples.models import Example, Revision
ann = User.objects.get(username="ann")
project = ProjectFactory(owner=ann, name="Shades")
shard = DatasetFactory(owner=ann)
Example.objects.create(project=project, shard=shard, place="1.png", sha256="1" * 64, label="dark", split="train")
Revision.objects.create(project=project, number=1, key="projects/1", size=1, sha256="0" * 64, examples=1)
print(project.pk, project.public_id)
"""
ADDED_ONCE = """
import json, tempfile
from pathlib import Path
from bucket.files import download
from bucket.factory import get_bucket
from models_registry.models import Project
from training.engine.data.manifest import read_manifest
from training.examples.models import Addition
from training.examples.revisions import next_revision
addition = Addition.objects.get()
project, work, shard = addition.project, addition.validation, addition.validation.dataset
revision = next_revision(project=project, author=None)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "manifest")
    download(revision.key, path, sha256=revision.sha256, limit=revision.size)
    manifest = read_manifest(path)
print(json.dumps({
    "work": [work.state, work.attempt, work.failures],
    "edits": list(project.edits.values_list("kind", "examples")),
    "examples": len(set(project.examples.values_list("sha256", flat=True))),
    "rows": project.examples.count(),
    "listed": len(set(manifest.digests)),
    "lines": len(manifest),
    "shards": sorted(set(manifest.shards) - {"0" * 64}) == [shard.sha256],
    "files": [key == shard.key for key, _ in get_bucket().list(shard.key.rpartition("/")[0] + "/")],
}))
"""
TICKS = os.sysconf("SC_CLK_TCK")
ENDED_ONCE = """
from training.models import Dataset
data = Dataset.objects.get(pk={pk})
print(data.state, data.examples, data.validation.state, data.validation.attempt, data.validation.failures)
"""


@pytest.fixture(scope="module", params=PARTS)
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlatformProcess]:
    with contextlib.ExitStack() as stack:
        env, home = dict(FASTER), tmp_path_factory.mktemp("large-data") / "home"
        if request.param:
            env["DATABASE_URL"] = stack.enter_context(servers.postgres_database())
            env |= stack.enter_context(servers.s3_server()).env
            env |= stack.enter_context(servers.redis_prefix())
        running = stack.enter_context(PlatformProcess(home, env=env, worker=False))
        running.manage(
            "shell", "-v0", "-c", "from tests.factories import UserFactory; UserFactory(username='ann')"
        )
        start_worker(running)
        yield running


def start_worker(platform: PlatformProcess) -> None:
    platform.start_worker("--queues", "batches", wait_until_warm=False)


@pytest.fixture(scope="module")
def photos() -> bytes:
    """A zip of photos of two classes that are all different, as their last bytes are."""
    pictures = {}
    for label, shade in (("dark", 40), ("light", 220)):
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((SIDE, SIDE)).point(
            lambda value, shade=shade: (value + shade) // 2
        ).save(buffer, "PNG")
        pictures[label] = buffer.getvalue()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(PHOTOS):
            label = ("dark", "light")[number % 2]
            archive.writestr(f"{label}/{number}.png", pictures[label] + number.to_bytes(4, "big"))
    return target.getvalue()


def cpu_seconds(pid: int) -> float:
    """Return what a process and its children have used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(cpu_seconds(child) for child in children_of(pid))


def signed_in(platform: PlatformProcess) -> requests.Session:
    session = requests.Session()
    login = f"{platform.base_url}/accounts/login/"
    session.get(login, timeout=60)
    form = {"login": "ann", "password": "a good passphrase"}
    session.post(login, data={**form, "csrfmiddlewaretoken": session.cookies["csrftoken"]}, timeout=60)
    assert "sessionid" in session.cookies
    return session


def ended(platform: PlatformProcess, pk: int) -> list[str]:
    return platform.manage("shell", "-v0", "-c", ENDED_ONCE.format(pk=pk)).stdout.split()


def test_large_data_survives_its_worker_and_costs_the_web_process_nothing(
    platform: PlatformProcess, photos: bytes
) -> None:
    assert platform.web is not None and platform.worker is not None
    key = platform.manage("api_token", "ann").stdout.split()[-1]
    rest = requests.Session()
    rest.headers["Authorization"] = f"Token {key}"
    used, began = cpu_seconds(platform.web.pid), time.monotonic()
    sent = rest.post(
        f"{platform.base_url}/api/v1/datasets/",
        data={"name": "Many", "task_type": "imageclassification"},
        files={"file": ("many.zip", photos)},
        timeout=60,
    )
    assert sent.status_code == 202, sent.text
    answered_in = time.monotonic() - began
    pk, address = sent.json()["id"], sent.headers["Location"]

    def news() -> dict[str, Any]:
        answer = rest.get(address, timeout=60)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def is_read() -> bool:
        told = news()
        assert told["state"] == "validating", "It was ready before its worker could be killed."
        return bool(told["progress"]["done"])

    wait_until("a worker reads", is_read, every=0.1)
    assert news()["progress"]["total"] == PHOTOS
    (reader,) = children_of(platform.worker.pid)
    os.kill(platform.worker.pid, signal.SIGKILL)
    platform.worker.wait()
    wait_until("its reader ends with it", lambda: not Path(f"/proc/{reader}").exists(), within=20)
    start_worker(platform)
    wait_until("another worker has looked", lambda: news()["state"] != "validating", every=0.25)
    used = cpu_seconds(platform.web.pid) - used
    print(f"answered in {answered_in:.2f} s, web process used {used:.2f} s of CPU")

    told = news()
    assert (told["state"], told["examples"], told["classes"]) == ("ready", PHOTOS, ["dark", "light"])
    assert ended(platform, pk) == ["ready", str(PHOTOS), "succeeded", "2", "1"]
    assert answered_in < 10
    assert used < 5


def test_large_data_by_the_page_shows_its_progress_and_then_the_model(
    platform: PlatformProcess, photos: bytes
) -> None:
    session = signed_in(platform)
    session.get(f"{platform.base_url}/new/", timeout=60)
    sent = session.post(
        f"{platform.base_url}/new/data/",
        data={"csrfmiddlewaretoken": session.cookies["csrftoken"]},
        files={"file": ("many.zip", photos)},
        timeout=60,
        allow_redirects=False,
    )
    assert sent.status_code == 302, sent.text
    page = f"{platform.base_url}{sent.headers['Location']}"
    assert "is being checked" in session.get(page, timeout=60).text
    pk = int(page.rpartition("=")[2])
    fragment, seen = f"{platform.base_url}/datasets/{pk}/progress/", set()

    def is_over() -> bool:
        answer = session.get(fragment, headers={"HX-Request": "true"}, timeout=60)
        seen.update(line.strip() for line in answer.text.splitlines() if "files checked" in line)
        return answer.headers.get("HX-Refresh") == "true"

    wait_until("a worker has looked", is_over)
    assert any(f"of {PHOTOS:,} files checked" in line for line in seen), seen
    assert "Start training</button>" in session.get(page, timeout=60).text
    assert ended(platform, pk) == ["ready", str(PHOTOS), "succeeded", "1", "0"]


@pytest.mark.long
def test_large_addition_to_a_project_survives_its_workers(platform: PlatformProcess, photos: bytes) -> None:
    assert platform.worker is not None
    pk, public_id = platform.manage("shell", "-v0", "-c", PROJECT).stdout.split()[-2:]
    session, page = signed_in(platform), f"{platform.base_url}/projects/{public_id}/data/"
    session.get(page, timeout=60)
    token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
    sent = session.post(f"{page}add/", data=token, files={"file": ("more.tar", as_tar(photos))}, timeout=60)
    assert "Examples are being added" in sent.text
    seen = []

    def news() -> str:
        answer = session.get(f"{page}additions/", headers={"HX-Request": "true"}, timeout=60)
        seen.append(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", answer.text)))
        return seen[-1]

    wait_until("a worker reads", lambda: read_so_far(news()), every=0.1)
    kill_the_worker(platform)
    assert "files read" in news()
    kills = 1
    if "DATABASE_URL" in platform.env:  # where a row can be held, so that the next one dies as it appends
        with held_project(platform.env["DATABASE_URL"], pk) as is_waited_for:
            start_worker(platform)
            wait_until("a worker waits for the project", is_waited_for, every=0.1)
            assert f"{PHOTOS:,} of {PHOTOS:,} files read" in news()
            kill_the_worker(platform)
        kills = 2
    start_worker(platform)
    wait_until("another worker has appended", lambda: "Added examples" in news(), every=0.1)

    numbers = [number for number in map(read_so_far, seen) if number is not None]
    assert max(numbers) <= PHOTOS
    assert sum(after < before for before, after in itertools.pairwise(numbers)) <= kills, numbers
    assert f"{PHOTOS:,} added" in seen[-1]
    found = json.loads(platform.manage("shell", "-v0", "-c", ADDED_ONCE).stdout.splitlines()[-1])
    assert found == {
        "work": ["succeeded", kills + 1, kills],
        "edits": [["add", PHOTOS]],
        "examples": PHOTOS + 1,
        "rows": PHOTOS + 1,
        "listed": PHOTOS + 1,
        "lines": PHOTOS + 1,
        "shards": True,
        "files": [True],
    }
    assert list((platform.home / "jobs").iterdir()) == []


def as_tar(archive: bytes) -> bytes:
    """Return the files of a zip as a tar, which a worker keeps in another form."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, tarfile.open(fileobj=target, mode="w") as tar:
        for name in source.namelist():
            info = tarfile.TarInfo(name)
            content = source.read(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def read_so_far(words: str) -> int | None:
    """Return how many files have been read, as the page says; None where it says nothing of it."""
    found = re.search(rf"([\d,]+) of {PHOTOS:,} files read", words)
    return int(found[1].replace(",", "")) if found else None


def kill_the_worker(platform: PlatformProcess) -> None:
    assert platform.worker is not None
    os.kill(platform.worker.pid, signal.SIGKILL)
    platform.worker.wait()


@contextlib.contextmanager
def held_project(url: str, pk: str) -> Iterator[Callable[[], bool]]:
    """Hold a project's row of a PostgreSQL database; yields what tells whether a process waits for it."""
    import psycopg

    address = url.replace("postgres://", "postgresql://")
    with psycopg.connect(address) as holder, psycopg.connect(address, autocommit=True) as watcher:
        holder.execute("SELECT 1 FROM models_registry_project WHERE id = %s FOR UPDATE", [pk])
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"

        def is_waited_for() -> bool:
            row = watcher.execute(waiting, [watcher.info.dbname]).fetchone()
            return row is not None and bool(row[0])

        yield is_waited_for
