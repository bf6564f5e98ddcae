"""Periodic tasks: each app registers by name what has to be done every so often; this runs them in isolation.

Workers run them for as long as they live, and `manage.py reconcile` (cron) runs all of them once. Every
task has to be safe at any time, in several processes at once. Whatever one raises, be it a panic of a
native library, is logged and noted, and the others go on; one that hangs keeps a thread, not its
neighbours. The table says when each last ended well, in whichever process, and `/health/` asks it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F
from django.utils import timezone

from .exceptions import TrainyardError
from .models import PeriodicTask
from .text import storable

logger = structlog.get_logger(__name__)

Item = TypeVar("Item")

PATIENCE = timedelta(seconds=10)  # that tasks wait for the one before them; then they go on beside it
BUDGET = timedelta(seconds=20)  # for the rows that one run of a task goes through; the rest come next time
PERIODS_UNTIL_LATE = 3
CRASHES_UNTIL_LATE = 4  # runs in a row that did not end well, however short a time the workers have been up
LOOK = 0.1  # seconds between two looks at a task that runs

EXPECTED = (TrainyardError, DatabaseError, OSError)  # outages: their message says all, a traceback nothing


class Skipped(TrainyardError):
    """Another process does the task at this moment: this run is neither a success nor a failure."""


class SomeFailed(TrainyardError):
    """Some of a task's rows failed; the others were done."""


@dataclass(frozen=True)
class Task:
    """A periodic task. `every` is its period; None means the platform's own (`RECONCILE_EVERY`).

    `may_take` is how long one run may last before it counts as late: for what moves large files.
    """

    name: str
    work: Callable[[], object]
    every: timedelta | None = None
    may_take: timedelta = timedelta()

    @property
    def period(self) -> timedelta:
        """The period between two runs."""
        if self.every is not None:
            return self.every
        return settings.TRAINYARD["RECONCILE_EVERY"]


@dataclass(frozen=True)
class Run:
    """How one run of a task ended: `did` is what the task returned, `error` why it did not end well."""

    name: str
    did: object = None
    error: str = ""
    skipped: str = ""
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        """Whether the run succeeded."""
        return not self.error

    def as_dict(self) -> dict[str, object]:
        """Return the run as JSON."""
        return {**asdict(self), "ok": self.is_well}


_tasks: dict[str, Task] = {}


def register(
    name: str,
    work: Callable[[], object],
    *,
    every: timedelta | None = None,
    may_take: timedelta = timedelta(),
) -> None:
    """Add a task; called while the app that it belongs to becomes ready. They run in this order."""
    _tasks[name] = Task(name, work, every, may_take)


def registered() -> list[Task]:
    """Return all tasks in the order in which they run."""
    return list(_tasks.values())


def run_task(task: Task) -> Run:
    """Run a task and record how it ended. Raises nothing but KeyboardInterrupt and SystemExit."""
    _note(task, started_at=timezone.now(), unfinished=F("unfinished") + 1)
    began = time.monotonic()
    try:
        did = task.work()
    except Skipped as reason:
        _note(task, unfinished=F("unfinished") - 1)
        return Run(task.name, skipped=storable(reason), seconds=_since(began))
    except BaseException as error:
        told = describe(error)
        _log_failure("periodic.failed", error, task=task.name)
        _note(task, failed_at=timezone.now(), error=told)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return Run(task.name, error=told, seconds=_since(began))
    _note(task, succeeded_at=timezone.now(), unfinished=0, error="")
    return Run(task.name, did, seconds=_since(began))


def for_each(items: Iterable[Item], work: Callable[[Item], object]) -> int:
    """Do the work on each item, whatever it raises for another; returns for how many it returned something true.

    No longer than the budget: a caller whose rows have no order of their own passes them in random order,
    so that rows that fail or take long never stand before the same others. Raises `SomeFailed` at the end.
    """
    found = list(items)
    done, errors, deadline = 0, [], time.monotonic() + BUDGET.total_seconds()
    for item in found:
        try:
            done += bool(work(item))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            _log_failure("periodic.item_failed", error, item=storable(repr(item), most=100))
            errors.append(describe(error))
            _leave_broken_connection()
        if time.monotonic() > deadline:
            break
    if errors:
        raise SomeFailed(f"{len(errors)} of {len(found)} failed, the first with: {errors[0]}")
    return done


def describe(error: BaseException) -> str:
    """Return an error in words that can be stored."""
    if isinstance(error, TrainyardError):
        return storable(error)
    return storable(f"{type(error).__name__}: {storable(error)}")


def _log_failure(event: str, error: BaseException, **about: str) -> None:
    expected = isinstance(error, EXPECTED)
    logger.error(event, **about, error=describe(error), exc_info=None if expected else error)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _note(task: Task, **changes: object) -> None:
    """Update a task's row; an error of the database is logged only: the task then counts as late."""
    try:
        _leave_broken_connection()
        rows = PeriodicTask.objects.filter(name=task.name)
        if not rows.update(**changes):
            PeriodicTask.objects.bulk_create([PeriodicTask(name=task.name)], ignore_conflicts=True)
            rows.update(**changes)
    except DatabaseError as error:
        logger.warning("periodic.not_noted", task=task.name, error=describe(error))


def _leave_broken_connection() -> None:
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


class Runner:
    """Runs tasks one after the other in a thread, and in another one beside a task that takes long."""

    def __init__(self, *, patience: timedelta = PATIENCE) -> None:
        self.runs: list[Run] = []
        self._patience = patience.total_seconds()
        self._started: dict[str, float] = {}
        self._stuck: list[_TaskThread] = []

    def run_due(self, *, stop: Callable[[], bool] = lambda: False) -> list[Run]:
        """Run the tasks whose period is over and that do not run still; returns how they ended.

        A task that takes longer than the patience is left alone in its thread and reported as failed.
        """
        self.runs = []
        self._stuck = [thread for thread in self._stuck if not thread.ended.is_set()]
        running = {thread.task.name for thread in self._stuck if thread.task is not None}
        now = time.monotonic()
        waiting = deque(task for task in registered() if self._is_due(task, now) and task.name not in running)
        self._started |= {task.name: now for task in waiting}
        while waiting and not stop():
            thread = _TaskThread(waiting, stop)
            thread.start()
            if not thread.wait(self._patience):
                self._leave(thread)
            self.runs += thread.runs
        return self.runs

    def _is_due(self, task: Task, now: float) -> bool:
        started = self._started.get(task.name)
        return started is None or now - started >= task.period.total_seconds()

    def _leave(self, thread: "_TaskThread") -> None:
        task = thread.task
        if task is None:
            return
        logger.warning("periodic.takes_long", task=task.name, seconds=round(self._patience))
        self._stuck.append(thread)
        self.runs.append(Run(task.name, error=f"still running after {self._patience:g} s"))


class _TaskThread(threading.Thread):
    """Runs the tasks of a queue until it is empty, or until the runner abandons it with the task that hangs."""

    def __init__(self, waiting: deque[Task], stop: Callable[[], bool]) -> None:
        super().__init__(name="periodic", daemon=True)
        self.runs: list[Run] = []
        self.task: Task | None = None
        self.ended = threading.Event()  # `is_alive` may stay true where the stack overflowed
        self._waiting, self._stop = waiting, stop
        self._since = time.monotonic()
        self._is_left = False

    def wait(self, patience: float) -> bool:
        """Wait for the thread's end and return True; False when one task takes longer than the patience."""
        while not self.ended.wait(LOOK):
            if time.monotonic() - self._since > patience:
                self._is_left = True
                return False
        return True

    def run(self) -> None:
        try:
            while self._waiting and not self._is_left and not self._stop():
                self._since = time.monotonic()
                self.task = self._waiting.popleft()
                self.runs.append(run_task(self.task))
        finally:
            self.ended.set()
            connection.close()


def late_tasks(*, up_since: datetime) -> list[str]:
    """Return the tasks without a success for three of their periods, if workers have been up for as long."""
    rows, now = PeriodicTask.objects.in_bulk(), timezone.now()
    return [
        task.name
        for task in registered()
        if _is_late(task, rows.get(task.name) or PeriodicTask(name=task.name), up_since=up_since, now=now)
    ]


def _is_late(task: Task, row: PeriodicTask, *, up_since: datetime, now: datetime) -> bool:
    overdue = now - PERIODS_UNTIL_LATE * task.period
    if row.succeeded_at is not None and row.succeeded_at >= overdue:
        return False
    if row.running_since is not None and now - row.running_since < task.may_take:
        return row.unfinished > CRASHES_UNTIL_LATE
    # Workers that a task kills are restarted again and again, and are never up for long.
    return up_since < overdue or (row.unfinished > CRASHES_UNTIL_LATE and row.first_seen_at < overdue)
