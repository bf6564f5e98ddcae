"""Periodic tasks: whatever one does, the others run, and health knows."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from control.models import CleanupPolicy, PlatformStatus
from core import periodic
from core.models import PeriodicTask
from core.observability import health
from core.periodic import Runner, Skipped, SomeFailed, Task, for_each, late_tasks, run_task
from documents import keys
from documents.publish import publish_waiting
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.models import TrainingJob, WorkerHeartbeat
from training.worker import lifecycle
from training.worker.lifecycle import WorkerLife
from work import queue, transitions

pytestmark = pytest.mark.django_db(transaction=True)

PERIOD = timedelta(seconds=30)
LATE = 3 * PERIOD + timedelta(seconds=1)


class Panic(BaseException):
    """What a native library raises that has panicked: no Exception."""


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tasks that the test registers."""
    monkeypatch.setattr(periodic, "_tasks", {})


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def fail_with(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def break_transaction() -> None:
    with transaction.atomic():
        PeriodicTask.objects.create(name="half done")
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")


def recurse() -> None:
    recurse()


BREAKS = {
    "panic": fail_with(Panic("index out of bounds")),
    "memory": fail_with(MemoryError()),
    "exit": fail_with(SystemExit(3)),
    "recursion": recurse,
    "database": break_transaction,
    "unprintable": fail_with(ValueError("\x00 \ud800")),
    "huge": fail_with(ValueError("x" * 10**6)),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", BREAKS)
def test_task_that_breaks_is_noted_and_the_others_run(tasks: None, name: str) -> None:
    periodic.register("first", lambda: 1)
    periodic.register(name, BREAKS[name])
    periodic.register("last", lambda: {"files": 2})
    runs = {run.name: run for run in Runner().run_due()}
    assert (runs["first"].did, runs["last"].did) == (1, {"files": 2})
    assert name not in runs or not runs[name].is_well
    row = PeriodicTask.objects.get(name=name)
    assert row.error
    assert len(row.error) < 3000
    assert (row.succeeded_at, row.unfinished) == (None, 1)
    assert PeriodicTask.objects.get(name="last").succeeded_at is not None
    assert not PeriodicTask.objects.filter(name="half done").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_who_asks_the_process_to_end_is_heard(error: BaseException) -> None:
    with pytest.raises(type(error)):
        run_task(Task("ends", fail_with(error)))
    assert PeriodicTask.objects.get(name="ends").failed_at is not None


def test_task_that_hangs_stalls_nobody_and_is_not_started_again(tasks: None, gate: threading.Event) -> None:
    began: list[str] = []

    def hang() -> None:
        began.append("hangs")
        gate.wait(30)

    periodic.register("hangs", hang, every=timedelta(0))
    periodic.register("other", lambda: began.append("other"), every=timedelta(0))
    runner = Runner(patience=timedelta(seconds=0.2))
    runs = {run.name: run for run in runner.run_due()}
    assert "still running" in runs["hangs"].error
    assert runs["other"].is_well
    for _ in range(3):
        runner.run_due()
    assert began == ["hangs", *["other"] * 4]
    gate.set()
    wait_for(lambda: PeriodicTask.objects.get(name="hangs").succeeded_at)
    wait_for(lambda: runner.run_due() and began.count("hangs") == 2)


def test_task_is_not_due_again_before_its_period_is_over(tasks: None) -> None:
    periodic.register("hourly", lambda: 1, every=timedelta(hours=1))
    runner = Runner()
    assert [run.name for run in runner.run_due()] == ["hourly"]
    assert runner.run_due() == []


def test_skipped_run_is_neither_well_nor_failed(tasks: None) -> None:
    periodic.register("busy", fail_with(Skipped("another process does it")))
    (run,) = Runner().run_due()
    assert (run.is_well, run.skipped) == (True, "another process does it")
    row = PeriodicTask.objects.get(name="busy")
    assert (row.succeeded_at, row.failed_at, row.unfinished) == (None, None, 0)


def test_each_row_is_isolated() -> None:
    done: list[int] = []

    def work(number: int) -> bool:
        if number == 1:
            break_transaction()
        if number == 2:
            raise Panic("poisoned")
        done.append(number)
        return True

    with pytest.raises(SomeFailed, match="2 of 5 failed"):
        for_each(range(5), work)
    assert done == [0, 3, 4]
    assert for_each([5, 6], work) == 2


def test_rows_that_take_long_are_left_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "BUDGET", timedelta(seconds=-1))
    assert for_each(range(5), lambda number: True) == 1


def test_poisoned_job_keeps_no_other_from_being_rescued(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [TrainingJobFactory() for _ in range(3)]
    for job in jobs:
        assert transitions.claim(job, worker="w")
    TrainingJob.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    rescue = transitions.take_from_dead_worker

    def poisoned(job: TrainingJob, **how: Any) -> Any:
        if job.pk == jobs[1].pk:
            raise Panic("poisoned")
        return rescue(job, **how)

    monkeypatch.setattr(queue, "take_from_dead_worker", poisoned)
    with pytest.raises(SomeFailed):
        queue.rescue(TrainingJob)
    states = list(TrainingJob.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["queued", "running", "queued"]


# When is a task late? -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up_for", "succeeded", "unfinished", "expected"),
    [
        pytest.param(LATE, PERIOD, 0, [], id="well"),
        pytest.param(LATE, LATE, 0, ["task"], id="not well for three periods"),
        pytest.param(LATE, None, 0, ["task"], id="never well"),
        pytest.param(PERIOD, None, 0, [], id="just started"),
        pytest.param(PERIOD, 999 * PERIOD, 1, [], id="started again after a long time"),
        pytest.param(PERIOD, 999 * PERIOD, 9, ["task"], id="kills every worker that tries"),
    ],
)
def test_task_is_late(
    tasks: None, up_for: timedelta, succeeded: timedelta | None, unfinished: int, expected: list[str]
) -> None:
    periodic.register("task", lambda: None, every=PERIOD)
    now = timezone.now()
    PeriodicTask.objects.create(
        name="task",
        first_seen_at=now - timedelta(days=1),
        started_at=now - PERIOD,
        succeeded_at=now - succeeded if succeeded else None,
        unfinished=unfinished,
    )
    assert late_tasks(up_since=now - up_for) == expected


def test_task_that_nobody_ever_started_is_late(tasks: None) -> None:
    periodic.register("task", lambda: None, every=PERIOD)
    assert late_tasks(up_since=timezone.now() - LATE) == ["task"]
    assert late_tasks(up_since=timezone.now() - PERIOD) == []


def test_task_that_moves_large_files_may_take_its_time(tasks: None) -> None:
    periodic.register("task", lambda: None, every=PERIOD, may_take=timedelta(minutes=15))
    now = timezone.now()
    row = PeriodicTask.objects.create(name="task", started_at=now - timedelta(minutes=14), unfinished=1)
    assert late_tasks(up_since=now - timedelta(days=1)) == []
    row.started_at = now - timedelta(minutes=16)
    row.save()
    assert late_tasks(up_since=now - timedelta(days=1)) == ["task"]
    row.started_at, row.failed_at = now - timedelta(minutes=2), now - timedelta(minutes=1)
    row.save()
    assert late_tasks(up_since=now - timedelta(days=1)) == ["task"], "it does not run, it failed"


def test_health_names_the_task_that_is_late_and_live_stays_well(
    bucket: Path, tasks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH", -1.0)
    publish_waiting()
    periodic.register("good", lambda: None, every=PERIOD)
    periodic.register("bad", fail_with(Panic("secret")), every=PERIOD)
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w", queues=["cpu"], started_at=now, seen_at=now)
    Runner().run_due()
    assert Client().get("/health/").json()["periodic"] == "ok", "its first periods are not over"
    WorkerHeartbeat.objects.update(started_at=now - LATE)
    response = Client().get("/health/")
    assert response.status_code == 503
    assert response.json()["periodic"] == "not ended well within 3 periods: bad"
    assert "secret" not in response.content.decode()
    assert Client().get("/health/live/").status_code == 200
    WorkerHeartbeat.objects.all().delete()
    answer = Client().get("/health/").json()
    assert (answer["worker"], answer["periodic"]) == ("none is alive", "ok")


# The worker's threads -------------------------------------------------------------------------


def test_worker_runs_tasks_and_starts_a_thread_again_that_died(
    tasks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    periodic.register("task", lambda: ran.append("task"), every=timedelta(0))
    monkeypatch.setattr(lifecycle, "BEAT", timedelta(milliseconds=50))
    monkeypatch.setattr(lifecycle, "TICK", timedelta(milliseconds=50))
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    life = WorkerLife("w", ["batches"], slots=1)
    due, deaths = life._runner.run_due, []

    def out_of_memory(*_: Any, **__: Any) -> None:
        deaths.append(threading.current_thread())
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(life._runner, "run_due", out_of_memory)
        broken.setattr(lifecycle.logger, "warning", out_of_memory, raising=False)  # not even a word of it
        life.start()
        try:
            wait_for(lambda: len(set(deaths)) >= 2)
            broken.setattr(life._runner, "run_due", due)
            wait_for(lambda: len(ran) > 2)
            wait_for(lambda: WorkerHeartbeat.objects.filter(name="w", ready=True).exists())
        finally:
            life.stop()
            wait_for(lambda: not life._alive)


# The command ----------------------------------------------------------------------------------


def test_command_runs_all_tasks_though_some_fail(tasks: None) -> None:
    periodic.register("first", fail_with(Panic("index out of bounds")))
    periodic.register("second", lambda: {"1": "queued"})
    periodic.register("third", fail_with(Skipped("another process does it")))
    out = io.StringIO()
    with pytest.raises(CommandError, match="first"):
        call_command("reconcile", "--json", stdout=out)
    *lines, told = out.getvalue().splitlines()
    assert lines == [
        "first: FAILED: Panic: index out of bounds",
        "second: ok: {'1': 'queued'}",
        "third: skipped: another process does it",
    ]
    runs = json.loads(told)
    assert {name: run["ok"] for name, run in runs.items()} == {"first": False, "second": True, "third": True}
    assert runs["second"]["did"] == {"1": "queued"}


def test_switches_are_followed_though_everything_else_is_poisoned(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models_registry import checks
    from training.documents.projections import TrainingProjection

    RegisteredModelFactory(origin="imported", unusable_because="Its files have not been looked at yet.")
    assert transitions.claim(TrainingJobFactory(), worker="w")
    TrainingJob.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    publish_waiting()
    panic = fail_with(Panic("poisoned"))
    monkeypatch.setattr(checks, "_check", lambda model: panic())
    monkeypatch.setattr(TrainingProjection, "version", lambda self: panic())
    monkeypatch.setattr(queue, "take_from_dead_worker", lambda job, **_: panic())
    (bucket / keys.INFERENCE).write_text("[" * 100_000)
    status = json.loads((bucket / keys.STATUS).read_text())
    (bucket / keys.STATUS).write_text(json.dumps({**status, "dev_mode": True}))
    (bucket / keys.CLEANUP).write_text(json.dumps({"status": "sleeping"}))
    with pytest.raises(CommandError) as failed:
        call_command("reconcile", stdout=io.StringIO())
    for name in (
        "sync inference.json",
        "sync training/training.json",
        "rescue jobs",
        "check imported models",
    ):
        assert name in str(failed.value)
    assert PlatformStatus.load().dev_mode
    assert CleanupPolicy.load().status == "sleeping"
