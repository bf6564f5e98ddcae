"""The only place where leased work changes its state: conditional UPDATEs.

A step of a worker names its attempt and needs the lease. When it hits no row, the work was taken from this
attempt, or deleted: the caller has to stop (`StaleAttempt`) and leave no trace.

Work that goes back to the queue keeps its place there (`queued_at`), whatever sent it back: it has waited its
turn already. Only work that yields, because it has had its share of the worker's time, goes to the end. Work
that is complete in the moment of its cancellation succeeds: its outcome exists and is kept.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import StaleAttempt

from .events import work_ended
from .models import FINAL, LeasedWork, State

LOOKED_AT = 20  # rows at the head of the queue, which others may take meanwhile
MESSAGE = 4000  # characters

Work = TypeVar("Work", bound=LeasedWork)


def claim_next(
    waiting: QuerySet[Work], *, worker: str, fits: Callable[[Work], bool] = lambda _: True
) -> Work | None:
    """Take the first of what waits for a new attempt; None when there is none that `fits`."""
    for work in waiting[:LOOKED_AT]:
        if fits(work):
            claimed = claim(work, worker=worker)
            if claimed is not None:
                return claimed
    return None


def claim(work: Work, *, worker: str) -> Work | None:
    """Take queued work for a new attempt; None when another was faster, or the platform is halted."""
    now = timezone.now()
    halted = Exists(PlatformStatus.objects.filter(dev_mode=True))
    rows = type(work).objects.filter(~halted, pk=work.pk)
    changes = {
        "attempt": F("attempt") + 1,
        "worker": worker[:200],
        "lease_expires_at": now + _lease(),
        "started_at": now,
        "message": "",
    }
    if not _move(work, rows, State.RUNNING, changes=changes):
        return None
    return type(work).objects.filter(pk=work.pk).first()


def renew(work: LeasedWork, **news: object) -> None:
    """Renew the lease and write fields of the row with it. Raises `StaleAttempt`."""
    now = timezone.now()
    if not _held(work).update(lease_expires_at=now + _lease(), updated_at=now, **news):
        raise _stale(work)


def state_of(work: LeasedWork) -> State:
    """Return the state of work that this attempt holds. Raises `StaleAttempt`."""
    state = _held(work).values_list("state", flat=True).first()
    if state is None:
        raise _stale(work)
    return State(state)


def succeed(work: LeasedWork, **changes: object) -> None:
    """End work that is done; call it inside the transaction that keeps the outcome. Raises `StaleAttempt`."""
    if not _move(work, _held(work), State.SUCCEEDED, changes=changes):
        raise _stale(work)


def fail(work: LeasedWork, *, reason: str, **changes: object) -> None:
    """End work that cannot succeed; `reason` is shown. Raises `StaleAttempt`."""
    if not _move(work, _held(work), State.FAILED, reason, changes):
        raise _stale(work)


def finish_cancelling(work: LeasedWork) -> None:
    """End work whose cancellation its worker has carried out. Raises `StaleAttempt`."""
    if not _move(work, _held(work), State.CANCELLED):
        raise _stale(work)


def hand_back(work: LeasedWork, *, reason: str, **changes: object) -> None:
    """Return work to the queue through no fault of its own. Raises `StaleAttempt`.

    Work that was cancelled in this moment ends instead.
    """
    if not _move(work, _held(work), State.QUEUED, reason, changes):
        finish_cancelling(work)


def yield_turn(work: LeasedWork, *, reason: str) -> None:
    """Return work that has used its share of time to the end of the queue. Raises `StaleAttempt`."""
    hand_back(work, reason=reason, queued_at=timezone.now())


def hand_back_or_fail(work: LeasedWork, *, reason: str) -> None:
    """Return work whose attempt died to the queue, or fail it when that has happened too often.

    Raises `StaleAttempt`.
    """
    failures = work.failures + 1
    if failures >= work.max_attempts:
        fail(work, reason=_gave_up(failures, reason), failures=failures)
    else:
        hand_back(work, reason=_again(reason), failures=failures)


def take_from_dead_worker(work: LeasedWork, *, now: datetime) -> State | None:
    """Requeue (or end) work whose lease is over; None when its worker or another rescuer was faster."""
    row = type(work).objects.abandoned(now).filter(pk=work.pk, attempt=work.attempt)
    reason = f"worker {work.worker or '?'} stopped answering in attempt {work.attempt}"
    failures = work.failures + 1
    if _move(work, row.filter(state=State.CANCELLING), State.CANCELLED):
        return State.CANCELLED
    if failures >= work.max_attempts:
        gave_up = _gave_up(failures, reason)
        return State.FAILED if _move(work, row, State.FAILED, gave_up, {"failures": failures}) else None
    return State.QUEUED if _move(work, row, State.QUEUED, _again(reason), {"failures": failures}) else None


def cancel(work: LeasedWork) -> bool:
    """End queued work, or ask the worker that holds it to end it; False when it has ended already."""
    row = _row(work)
    return (
        _move(work, row.filter(state=State.QUEUED), State.CANCELLED)
        or _move(work, row, State.CANCELLING)
        or row.filter(state=State.CANCELLING).exists()
    )


def refuse(work: LeasedWork, *, reason: str) -> bool:
    """End queued work that cannot be done; False when it is not queued any more."""
    return _move(work, _row(work).filter(state=State.QUEUED), State.FAILED, reason)


def requeue(work: LeasedWork, *, reason: str) -> bool:
    """Take running work from its worker, which notices and stops; False when it does not run."""
    running = _row(work).filter(state=State.RUNNING).first()
    return running is not None and _move(
        running, _row(work).filter(attempt=running.attempt), State.QUEUED, reason
    )


def _row(work: LeasedWork) -> QuerySet[Any]:
    return type(work).objects.filter(pk=work.pk)


def _held(work: LeasedWork) -> QuerySet[Any]:
    """Return the row as a QuerySet, empty once this attempt has lost its lease."""
    return type(work).objects.held(timezone.now()).filter(pk=work.pk, attempt=work.attempt)


@transaction.atomic
def _move(
    work: LeasedWork,
    rows: QuerySet[Any],
    target: State,
    reason: str = "",
    changes: Mapping[str, object] = MappingProxyType({}),
) -> bool:
    """Update the row if it is among `rows` and its state allows the step; returns whether it did."""
    sources = [source for source, targets in work.ALLOWED.items() if target in targets]
    columns = {**_columns_on(work, target, reason), **work.changes_on(target, reason), **changes}
    moved = rows.filter(state__in=sources).update(state=target, updated_at=timezone.now(), **columns)
    if moved:
        work.after_step(target, reason)
        if target in FINAL:
            work_ended.send(sender=type(work), work=work)
    return bool(moved)


def _columns_on(work: LeasedWork, target: State, reason: str) -> dict[str, object]:
    """Return the columns that a step to this state writes for every kind of work."""
    if target == State.QUEUED:
        unheld = {"worker": "", "lease_expires_at": None, "announced_at": None, "started_at": None}
        return {**unheld, "message": f"{reason.rstrip('.')}{work.goes_on()}."[:MESSAGE]}
    if target in FINAL:
        return {"lease_expires_at": None, "finished_at": timezone.now(), "message": reason[:MESSAGE]}
    return {}


def _lease() -> timedelta:
    lease: timedelta = settings.TRAINYARD["LEASE"]
    return lease


def _again(reason: str) -> str:
    return f"Queued again: {reason}"


def _gave_up(failures: int, reason: str) -> str:
    return f"Gave up after {failures} failed attempt{'' if failures == 1 else 's'}: {reason}"


def _stale(work: LeasedWork) -> StaleAttempt:
    return StaleAttempt(f"Attempt {work.attempt} does not hold {work._meta.verbose_name} {work.pk} any more.")
