"""The mirror under many writers: processes of the platform and an honest outsider, all at once.

Every entry that should be in inference.json at the end is there, once and as it should be, and nothing
else is. The control shows that this is not so by chance: the same work, published by reading, changing
and writing, does lose entries.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from devtools import servers
from devtools.platform_process import PlatformProcess
from tests.integration.mirror_outsider import Bucket, FolderBucket, Outsider, S3Bucket
from tests.integration.mirror_worker import STEP, Book, Console, MirrorWorker, Order, let_work

SHARED = "imageClassification-shared"


@dataclass
class Mirrored:
    """A platform without web and worker, and the bucket as an outsider sees it."""

    platform: PlatformProcess
    console: Console
    bucket: Bucket
    processes: int
    saves: int

    def orders(self, name: str = "p", saves: int | None = None, **more: Any) -> list[Order]:
        """Return an order for each process; those of another name make other models."""
        return [
            Order(f"{name}{number}", saves or self.saves, seed=number, shared=SHARED, **more)
            for number in range(self.processes)
        ]

    def document(self, key: str = "inference.json") -> Any:
        """Read a document."""
        return json.loads(self.bucket.read(key)[0])


PARTS = [
    pytest.param((), id="sqlite-folder"),
    pytest.param(("postgres", "s3"), id="postgres-s3", marks=pytest.mark.servers),
]


@pytest.fixture(scope="module", params=PARTS)
def mirrored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """SQLite has one writer at a time: half of the processes and of the saves say as much there.

    The control comes last: it leaves a document that lacks entries.
    """
    with contextlib.ExitStack() as stack:
        env: dict[str, str] = {}
        home = tmp_path_factory.mktemp("mirror") / "home"
        bucket: Bucket = FolderBucket(home / "bucket")
        if request.param:
            server = stack.enter_context(servers.s3_server())
            env = {"DATABASE_URL": stack.enter_context(servers.postgres_database()), **server.env}
            bucket = S3Bucket(server)
        platform = stack.enter_context(PlatformProcess(home, env=env, web=False, worker=False))
        console = stack.enter_context(Console(env=platform.django_env))
        size = (8, 50) if request.param else (4, 25)
        mirror = Mirrored(platform, console, bucket, *size)
        create_shared(mirror)
        yield mirror


def creation(token: str, *, name: str, accuracy: float = 50) -> str:
    """Return the expression that makes a model, the first of a project; `token` is one as well."""
    task = "task_type='imageclassification'"
    project = (
        f"RegisteredModel.project.field.related_model.objects.create(token='project-' + {token}, {task})"
    )
    columns = f"name={name!r}, {task}, classes=['a', 'b'], accuracy={accuracy}, version=1, project={project}"
    return f"RegisteredModel.objects.create(token={token}, {columns}).pk"


def create_shared(mirror: Mirrored) -> None:
    """Make the model that every process changes."""
    mirror.console.ask(creation(repr(SHARED), name="Shared", accuracy=10))
    assert SHARED in mirror.document()


def wrong_entries(document: Mapping[str, Any], book: Book) -> dict[str, str]:
    """Say what is wrong with the entries that the book names: lost, left over, or not as they should be."""
    wrong = {}
    for token, entry in book.items():
        found = document.get(token)
        if entry is None:
            if found is not None:
                wrong[token] = "was deleted and is there"
        elif found is None:
            wrong[token] = "is lost"
        elif different := {name: found.get(name) for name in entry if found.get(name) != entry[name]}:
            wrong[token] = f"differs: {different}"
    return wrong


def assert_taken_in(mirror: Mirrored, outsider: Outsider) -> None:
    """The outsider's models are models of the platform while their entries are there, and only then."""
    states = dict(
        mirror.console.ask(
            f"list(RegisteredModel.objects.filter(token__contains='-{outsider.name}-')"
            ".values_list('token', 'state'))"
        )
    )
    for token, entry in outsider.entries.items():
        assert states.get(token) == ("live" if entry else "retired" if token in states else None)
    outsider.clean_up(taken_in=states)


LIVE = "RegisteredModel.objects.live()"
PROJECTS_IN_SERVICE = (
    f"list({LIVE}.filter(aliases__name='production').values_list('project__token', flat=True))"
)


def test_processes_and_an_outsider_lose_nothing(mirrored: Mirrored) -> None:
    outsider = Outsider(mirrored.bucket, noted=SHARED, edits=25)
    outsider.start()
    reports = let_work(mirrored.orders(), env=mirrored.platform.django_env)
    outsider.end()
    mirrored.platform.manage("reconcile")

    document = mirrored.document()
    book: Book = {token: entry for report in reports for token, entry in report["book"].items()}
    assert len(book) > mirrored.processes * mirrored.saves / 6
    assert wrong_entries(document, book) == {}
    assert wrong_entries(document, outsider.entries) == {}
    assert wrong_entries(document, outsider.strange) == {}
    raised = sum(report["raised"] for report in reports)
    assert raised >= mirrored.processes
    assert document[SHARED]["accuracy"] == pytest.approx(10 + STEP * raised), "the last save is what counts"
    assert document[SHARED].get("their_note", 0) == outsider.note
    living = {token for token, entry in {**book, **outsider.entries}.items() if entry is not None}
    projects = set(mirrored.console.ask(PROJECTS_IN_SERVICE))
    assert projects
    assert set(document) == living | projects | set(outsider.strange) | {SHARED}, "nothing else is there"

    status = mirrored.document("status.json")
    assert status["dev_mode"] == outsider.dev_mode
    assert status.get("their_remark", 0) == outsider.remark
    assert mirrored.console.ask("PlatformStatus.load().dev_mode") == outsider.dev_mode
    assert mirrored.console.ask("OutboxEntry.objects.count()") == 0
    assert_taken_in(mirrored, outsider)
    assert mirrored.platform.manage_json("sync_documents", "--check") == {"documents": "ok"}


def test_naive_publisher_loses_entries(mirrored: Mirrored) -> None:
    """The control: what the first test shows is not what anybody would get."""
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(MirrorWorker(order, env=mirrored.platform.django_env))
            for order in mirrored.orders("naive", saves=10, publisher="naive")
        ]
        for said, answer in (("ready", "go"), ("read", "")):
            for worker in workers:
                worker.hear(said)
            for worker in workers if answer else ():
                worker.say(answer)
        for worker in workers:  # all have read the same document; one after the other replaces it
            worker.say("write")
            worker.hear("written")
        for worker in workers:
            worker.say("go on")
        reports = [worker.report() for worker in workers]
    book: Book = {token: entry for report in reports for token, entry in report["book"].items()}
    lost = wrong_entries(mirrored.document(), book)
    firsts = {f"imageClassification-{worker.order.name}-1" for worker in workers[:-1]}
    assert firsts <= set(lost)
