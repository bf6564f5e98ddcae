"""What an attempt leaves in the row, however it ends: the same for every kind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from control.models import PlatformStatus
from core.exceptions import BucketError, MaintenanceMode, StaleAttempt
from work import transitions
from work.attempt import Attempt, HopelessAttempt, run_next
from work.heartbeat import Cancelled, Interrupted, TurnOver
from work.models import LeasedWork, State
from work.stopping import worker_stops

from .conftest import Kind

pytestmark = pytest.mark.django_db(transaction=True)

Sent = list[tuple[str, int, str]]


class Unsuitable(Exception):
    """What a kind of work may count as hopeless."""


class Probe(Attempt[Any]):
    """Does what the test says."""

    hopeless = (Unsuitable,)
    raised: ClassVar[BaseException | None] = None
    outcome: ClassVar[dict[str, Any]] = {}
    seen: ClassVar[list[str]] = []

    def run(self) -> None:
        (self.folder / "file").write_text("something")
        self.seen.append("run")
        if self.raised is not None:
            raise self.raised
        transitions.succeed(self.work, **self.outcome)

    def tidy(self) -> None:
        self.seen.append("tidy")


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.HOME = tmp_path
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_ATTEMPTS": 3}
    return tmp_path


def probe(kind: Kind, raised: BaseException | None = None, **members: Any) -> type[Probe]:
    members = {"kind": kind.model, "raised": raised, "seen": [], "outcome": kind.outcome(), **members}
    return type("ProbeOfKind", (Probe,), members)


def carried_out(kind: Kind, raised: BaseException | None = None) -> LeasedWork:
    work = kind.claimed()
    attempt = probe(kind, raised)
    attempt(work).carry_out()
    assert attempt.seen == ["run", "tidy"]
    work.refresh_from_db()
    return work


def test_work_that_is_done_succeeds_and_leaves_no_folder(kind: Kind, home: Path, sent: Sent) -> None:
    work = carried_out(kind)
    assert (work.state, work.failures) == (State.SUCCEEDED, 0)
    assert list((home / "jobs").iterdir()) == []
    assert sent == []


@pytest.mark.parametrize(
    ("raised", "state", "failures", "message", "announced"),
    [
        (Interrupted("Its worker was stopped"), State.QUEUED, 0, "Its worker was stopped.", True),
        (TurnOver("Takes turns"), State.QUEUED, 0, "Takes turns.", True),
        (MaintenanceMode(), State.QUEUED, 0, "Suspended for maintenance.", True),
        (HopelessAttempt("Add a class."), State.FAILED, 0, "Add a class.", False),
        (Unsuitable("Send a table."), State.FAILED, 0, "Send a table.", False),
        (BucketError("no bucket"), State.QUEUED, 1, "Queued again: no bucket.", False),
        (OSError(28, "No space left", "/a"), State.QUEUED, 1, "Queued again: No space left.", False),
        (KeyError("x"), State.QUEUED, 1, "Queued again: KeyError.", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_the_row_notes_how_an_attempt_ended(
    kind: Kind,
    sent: Sent,
    raised: Exception,
    state: State,
    failures: int,
    message: str,
    announced: bool,
) -> None:
    work = carried_out(kind, raised)
    assert (work.state, work.failures, work.message) == (state, failures, message)
    assert bool(sent) is announced


@pytest.mark.parametrize(
    "raised", [HopelessAttempt("Its folder is gone."), OSError("gone"), Interrupted("Stopped")]
)
def test_attempt_whose_work_was_taken_says_that_alone(kind: Kind, raised: Exception) -> None:
    work = kind.claimed()
    kind.model.objects.filter(pk=work.pk).update(attempt=work.attempt + 1)
    with capture_logs() as logs:
        probe(kind, raised)(work).carry_out()
    ends = [
        log["event"].partition(".")[2] for log in logs if log["log_level"] == "warning" or "reason" in log
    ]
    assert ends[-1] == "attempt_stale"
    assert not {"failed", "suspended"} & {log["event"].partition(".")[2] for log in logs}
    work.refresh_from_db()
    assert (work.state, work.failures) == (State.RUNNING, 0)


def test_cancelled_work_ends(kind: Kind, sent: Sent) -> None:
    work = kind.claimed()
    assert transitions.cancel(work)
    probe(kind, Cancelled())(work).carry_out()
    work.refresh_from_db()
    assert (work.state, work.message, sent) == (State.CANCELLED, "", [])


def test_the_last_attempt_that_dies_fails_the_work(kind: Kind, sent: Sent) -> None:
    work = kind.claimed(failures=2)
    probe(kind, BucketError("no bucket"))(work).carry_out()
    work.refresh_from_db()
    assert (work.state, work.message) == (State.FAILED, "Gave up after 3 failed attempts: no bucket")


def test_nothing_is_announced_while_the_platform_is_halted(kind: Kind, sent: Sent) -> None:
    work = kind.claimed()
    PlatformStatus(dev_mode=True).save()
    probe(kind, Interrupted("Suspended"))(work).carry_out()
    work.refresh_from_db()
    assert (work.state, work.announced_at, sent) == (State.QUEUED, None, [])


def test_an_attempt_that_lost_its_work_leaves_the_row_alone(kind: Kind, sent: Sent) -> None:
    work = kind.claimed()
    assert transitions.requeue(work, reason="Put back")
    before = kind.rows()
    for raised in (StaleAttempt("lost"), HopelessAttempt("no"), BucketError("no"), Interrupted("no"), None):
        attempt = probe(kind, raised)
        attempt(work).carry_out()
        assert attempt.seen == ["run", "tidy"]
    assert kind.rows() == before
    assert sent == []


def test_folders_of_dead_attempts_on_this_machine_go_and_others_stay(kind: Kind, home: Path) -> None:
    work = kind.claimed()
    noun = kind.model.noun()
    left, other = home / "jobs" / f"{noun}-{work.pk}-0", home / "jobs" / f"{noun}-{work.pk}0-1"
    for folder in (left, other):
        folder.mkdir(parents=True)
    probe(kind)(work).carry_out()
    assert [path.name for path in (home / "jobs").iterdir()] == [other.name]


def request(queue: str = "") -> SimpleNamespace:
    return SimpleNamespace(hostname="w9", delivery_info={"routing_key": queue} if queue else None)


def test_a_message_wakes_a_worker_for_what_is_due_in_its_queue(kind: Kind, sent: Sent) -> None:
    first, second = kind.make(queue="here"), kind.make(queue="here")
    elsewhere = kind.make(queue="there")
    run_next(probe(kind), second.pk, request("here"))
    for work in (first, second, elsewhere):
        work.refresh_from_db()
    assert (first.state, first.worker) == (State.SUCCEEDED, "w9")
    assert (second.state, elsewhere.state) == (State.QUEUED, State.QUEUED)


def test_a_message_that_comes_twice_finds_nothing(kind: Kind, sent: Sent) -> None:
    work, attempt = kind.make(), probe(kind)
    for _ in range(2):
        run_next(attempt, work.pk, request())
    assert attempt.seen == ["run", "tidy"]


@pytest.mark.parametrize("cause", ["maintenance", "worker stops"])
def test_a_message_that_comes_at_a_bad_moment_ends_and_the_work_is_announced_again(
    kind: Kind, sent: Sent, cause: str
) -> None:
    work, attempt = kind.make(), probe(kind)
    kind.model.objects.update(announced_at="2026-01-01T00:00:00Z")
    try:
        if cause == "maintenance":
            PlatformStatus(dev_mode=True).save()
        else:
            worker_stops.set()
        run_next(attempt, work.pk, request())
    finally:
        worker_stops.clear()
    work.refresh_from_db()
    assert (work.state, work.attempt, work.announced_at, attempt.seen) == (State.QUEUED, 0, None, [])
