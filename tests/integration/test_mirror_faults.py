"""The mirror on a bad line: whatever breaks during a burst, one `reconcile` afterwards makes it whole.

No entry is lost, none is there twice or comes back from the dead, nothing of an outsider's is touched,
and the platform does not take its own writes for somebody else's.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from devtools import servers
from devtools.faulty_s3 import Fault, FaultyS3
from devtools.platform_process import PlatformProcess
from tests.integration.mirror_outsider import Outsider, S3Bucket
from tests.integration.mirror_worker import Book, Console, Order, let_work
from tests.integration.test_mirror import (
    SHARED,
    Mirrored,
    assert_taken_in,
    create_shared,
    creation,
    wrong_entries,
)

pytestmark = pytest.mark.servers

DOCUMENT = "inference.json"
OVERRULED = "list(OverruledChange.objects.values_list('entry', 'field', 'winner'))"


@dataclass
class OnALine(Mirrored):
    """A platform that reaches its bucket by a line that the test can break; the outsider's is good."""

    line: FaultyS3

    def state(self) -> Any:
        """Return what the platform remembers of inference.json."""
        fields = "'revision', 'etag', 'last_error', 'writer'"
        found = self.console.ask(f"list(Document.objects.filter(key='{DOCUMENT}').values({fields}))[0]")
        return {**found, "waiting": self.console.ask("OutboxEntry.objects.count()")}

    def in_step(self) -> bool:
        """Whether the platform itself finds nothing wrong."""
        return bool(self.platform.manage_json("sync_documents", "--check") == {"documents": "ok"})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnALine]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.s3_server())
        line = stack.enter_context(FaultyS3(server, seed=7))
        env = {"DATABASE_URL": stack.enter_context(servers.postgres_database()), **line.server.env}
        home = tmp_path_factory.mktemp("platform") / "home"
        platform = stack.enter_context(PlatformProcess(home, env=env, web=False, worker=False))
        console = stack.enter_context(Console(env=platform.django_env))
        mirror = OnALine(platform, console, S3Bucket(server), 4, 25, line)
        create_shared(mirror)
        yield mirror


@pytest.fixture
def mirror(parts: OnALine) -> Iterator[OnALine]:
    """The same platform for all tests: each leaves it whole and in step."""
    yield parts
    parts.line.heal()


def orders(name: str, *, processes: int = 4, saves: int = 15) -> list[Order]:
    """Return orders whose models no other test has."""
    return [Order(f"{name}{n}", saves, seed=n, shared=SHARED) for n in range(processes)]


def assert_whole(mirror: OnALine, book: Book) -> None:
    assert wrong_entries(mirror.document(), book) == {}
    state = mirror.state()
    assert (state["waiting"], state["last_error"], state["writer"]) == (0, "", "")
    assert state["etag"] == mirror.bucket.read(DOCUMENT)[1], "it knows what lies there"
    assert mirror.console.ask(OVERRULED) == [], "it had no conflict with itself"
    assert mirror.in_step()


def test_every_fault_at_random_is_mended_by_one_reconcile(mirror: OnALine) -> None:
    outsider = Outsider(mirror.bucket, noted=SHARED, edits=10)
    before, landed_before = mirror.state(), mirror.line.landed("PUT", DOCUMENT)
    for fault in Fault:
        mirror.line.cause(fault, key="*.json", probability=0.04)
    outsider.start()
    reports = let_work(orders("random"), env=mirror.platform.django_env)
    mirror.platform.manage("reconcile", check=False)  # in the middle of it
    reports += let_work(orders("more", processes=2, saves=10), env=mirror.platform.django_env)
    outsider.end()
    caused = {one.fault for one in mirror.line.log(key="*.json")} - {None}
    mirror.line.heal()
    mirror.platform.manage("reconcile")

    assert len(caused) >= 4, "there was something to mend"
    book: Book = {token: entry for report in reports for token, entry in report["book"].items()}
    assert wrong_entries(mirror.document(), {**outsider.entries, **outsider.strange}) == {}
    assert mirror.document()[SHARED].get("their_note", 0) == outsider.note
    assert_taken_in(mirror, outsider)
    assert_whole(mirror, book)
    landed = mirror.line.landed("PUT", DOCUMENT) - landed_before
    revised = mirror.state()["revision"] - before["revision"]
    assert 0 < revised <= landed, "no revision without a write, and none counted twice"


def test_bucket_that_is_down_costs_no_transaction(mirror: OnALine) -> None:
    before = mirror.bucket.read(DOCUMENT)
    with mirror.line.down():
        # No new files: those go to the bucket as well, and a job without them makes no model.
        names = [f"imageClassification-down-{number}" for number in range(20)]
        mirror.console.ask(f"[{creation('t', name='Down')} for t in {names!r}]")
        mirror.console.ask(f"RegisteredModel.objects.get(token='{names[0]}').delete()")
        assert mirror.console.ask("RegisteredModel.objects.filter(name='Down').count()") == 19
        state = mirror.state()
        assert state["waiting"] >= 20
        assert DOCUMENT in state["last_error"]
        assert mirror.platform.manage("reconcile", check=False).returncode == 1
    assert mirror.bucket.read(DOCUMENT) == before
    mirror.platform.manage("reconcile")
    assert_whole(mirror, {names[0]: None, **{name: {"accuracy": 50} for name in names[1:]}})


def save_shared(mirror: OnALine, accuracy: float) -> None:
    """Save the shared model in a process of its own; raises when that fails."""
    mirror.console.ask(
        f"[(setattr(m, 'accuracy', {accuracy}), m.save()) and None for m in "
        f"RegisteredModel.objects.filter(token='{SHARED}')]"
    )


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.RESET_AFTER, Fault.ERROR_AFTER])
def test_landed_write_whose_answer_was_lost_is_ours(mirror: OnALine, fault: Fault) -> None:
    before, seen = mirror.state(), len(mirror.line.log("PUT", DOCUMENT))
    mirror.line.cause(fault, method="PUT", key=DOCUMENT, times=1)
    accuracy = 20 + list(Fault).index(fault)
    save_shared(mirror, accuracy)
    puts = mirror.line.log("PUT", DOCUMENT)[seen:]
    assert [(one.fault, one.status) for one in puts] == [(fault, 200), (None, 412)], "written once"
    assert mirror.state()["revision"] == before["revision"] + 1
    assert_whole(mirror, {SHARED: {"accuracy": accuracy}})


def test_outsider_who_edits_our_landed_write_before_we_know_of_it(mirror: OnALine) -> None:
    """Our write landed, its answer was lost, somebody builds on it, and only then we look."""
    mirror.line.cause(Fault.LOSE_ANSWER, method="PUT", key=DOCUMENT, times=1)
    outsider = Outsider(mirror.bucket, noted=SHARED, edits=0, name="builder")
    with mirror.line.hold("PUT", DOCUMENT) as first, ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save_shared, mirror, 31)
        first.wait()
        with mirror.line.hold("PUT", DOCUMENT) as retry:
            first.release()
            retry.wait()  # botocore's: the first one has landed
            outsider.add()
            outsider.annotate()
        saving.result()
    mirror.platform.manage("reconcile")
    assert wrong_entries(mirror.document(), outsider.entries) == {}
    assert_taken_in(mirror, outsider)
    assert_whole(mirror, {SHARED: {"accuracy": 31, "their_note": outsider.note}})


def test_deleted_model_does_not_come_back(mirror: OnALine) -> None:
    """Its entry landed without our knowing: by the time we look, it must not pass for somebody else's."""
    token = "imageClassification-undead"
    create = creation(repr(token), name="Undead")
    for _ in range(3):  # all of botocore's attempts
        mirror.line.cause(Fault.LOSE_ANSWER, method="PUT", key=DOCUMENT, times=1)
    mirror.console.ask(create)
    assert token in mirror.document()
    with mirror.line.down():
        mirror.console.ask(f"RegisteredModel.objects.get(token='{token}').delete()")
    mirror.platform.manage("reconcile")
    assert mirror.console.ask(f"RegisteredModel.objects.filter(token='{token}').count()") == 0
    assert_whole(mirror, {token: None})


def test_restored_model_is_not_retired_again(mirror: OnALine) -> None:
    """Its removal landed without our knowing: by the time we look, it must not pass for somebody else's."""
    token = "imageClassification-restored"
    mirror.console.ask(creation(repr(token), name="Restored"))
    for _ in range(3):
        mirror.line.cause(Fault.LOSE_ANSWER, method="PUT", key=DOCUMENT, times=1)
    services = "__import__('models_registry.services', fromlist=['x'])"
    mirror.console.ask(f"{services}.retire_model(model=RegisteredModel.objects.get(token='{token}'))")
    assert token not in mirror.document()
    with mirror.line.down():
        mirror.console.ask(f"{services}.restore_model(model=RegisteredModel.objects.get(token='{token}'))")
    mirror.platform.manage("reconcile")
    assert mirror.console.ask(f"RegisteredModel.objects.get(token='{token}').state") == "live"
    assert_whole(mirror, {token: {"accuracy": 50}})
