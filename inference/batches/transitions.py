"""The only place where a batch changes its state: conditional UPDATEs, as for training jobs.

A step of a worker names its attempt and needs the lease; when it hits no row, somebody else owns the
batch, and the caller has to stop (`StaleAttempt`).
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import StaleAttempt

from .models import Batch

State = Batch.State

ALLOWED: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLING, State.QUEUED}),
    State.CANCELLING: frozenset({State.CANCELLED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def claim_next(*, worker: str, lease: timedelta) -> Batch | None:
    """Take the batch whose turn it is for a new attempt; None when none waits, or nothing may start."""
    halted = Exists(PlatformStatus.objects.filter(dev_mode=True))
    for pk in Batch.objects.queued().values_list("pk", flat=True)[:20]:
        now = timezone.now()
        changes: dict[str, Any] = {
            "attempt": F("attempt") + 1,
            "worker": worker[:200],
            "lease_expires_at": now + lease,
            "started_at": now,
            "message": "",
        }
        if _move(Batch.objects.filter(~halted, pk=pk), State.RUNNING, **changes):
            return Batch.objects.select_related("model").get(pk=pk)
    return None


def renew(batch: Batch, *, lease: timedelta) -> State:
    """Prolong the lease; returns the state. Raises `StaleAttempt`."""
    if not _held(batch).update(lease_expires_at=timezone.now() + lease):
        raise StaleAttempt(f"Attempt {batch.attempt} does not hold the batch any more.")
    state = _held(batch).values_list("state", flat=True).first()
    if state is None:
        raise StaleAttempt(f"Attempt {batch.attempt} does not hold the batch any more.")
    return State(state)


def note_done(batch: Batch, *, lease: timedelta) -> None:
    """Write down what the attempt has got done by now; that prolongs the lease. Raises `StaleAttempt`."""
    batch.failures = 0
    progress = {name: getattr(batch, name) for name in ("done", "unreadable", "parts", "failures")}
    changed = _held(batch).update(
        **progress, lease_expires_at=timezone.now() + lease, updated_at=timezone.now()
    )
    if not changed:
        raise StaleAttempt(f"Attempt {batch.attempt} does not hold the batch any more.")


def succeed(batch: Batch, *, key: str, size: int, keep: timedelta) -> None:
    """End a batch with its result. Raises `StaleAttempt`, also when it was cancelled in this moment."""
    _end(batch, State.SUCCEEDED, keep=keep, result_key=key, result_size=size)


def fail(batch: Batch, *, reason: str, keep: timedelta) -> None:
    """End a batch that cannot succeed; `reason` is shown. Raises `StaleAttempt`."""
    _end(batch, State.FAILED, keep=keep, message=reason[:500])


def finish_cancelling(batch: Batch, *, keep: timedelta) -> None:
    """End a batch whose cancellation its worker has carried out. Raises `StaleAttempt`."""
    _end(batch, State.CANCELLED, keep=keep)


def suspend(batch: Batch, *, reason: str = "", failed: bool = False) -> None:
    """Return a batch to the end of the queue, to go on from what is done. Raises `StaleAttempt`."""
    changes = _queued_again(reason, failures=F("failures") + (1 if failed else 0))
    if not _move(_held(batch), State.QUEUED, **changes):
        raise StaleAttempt(f"Attempt {batch.attempt} does not hold the batch any more.")


def cancel(batch: Batch, *, keep: timedelta) -> bool:
    """End a queued batch, or ask the worker of a running one to end it; False when it has ended."""
    row, now = Batch.objects.filter(pk=batch.pk), timezone.now()
    return (
        _move(row.filter(state=State.QUEUED), State.CANCELLED, finished_at=now, expires_at=now + keep)
        or _move(row, State.CANCELLING)
        or row.filter(state=State.CANCELLING).exists()
    )


def take_from_dead_worker(batch: Batch, *, now: datetime, max_attempts: int, keep: timedelta) -> bool:
    """Requeue (or end) a batch whose lease is over; False when its worker or another rescuer was faster."""
    row = Batch.objects.filter(pk=batch.pk, attempt=batch.attempt, lease_expires_at__lt=now)
    over: dict[str, Any] = {"lease_expires_at": None, "finished_at": now, "expires_at": now + keep}
    if _move(row.filter(state=State.CANCELLING), State.CANCELLED, **over):
        return True
    if batch.failures + 1 >= max_attempts:
        reason = f"Gave up: {batch.failures + 1} workers in a row died after input {batch.done:,}."
        return _move(row.filter(state=State.RUNNING), State.FAILED, message=reason, **over)
    changes = _queued_again("Goes on: its worker stopped answering.", failures=batch.failures + 1)
    return _move(row.filter(state=State.RUNNING), State.QUEUED, **changes)


def _queued_again(reason: str, **changes: object) -> dict[str, object]:
    return {
        **changes,
        "message": reason[:500],
        "worker": "",
        "lease_expires_at": None,
        "announced_at": None,
        "queued_at": timezone.now(),
    }


def _end(batch: Batch, target: State, *, keep: timedelta, **changes: object) -> None:
    now = timezone.now()
    changes |= {"lease_expires_at": None, "finished_at": now, "expires_at": now + keep}
    if not _move(_held(batch), target, **changes):
        raise StaleAttempt(f"Attempt {batch.attempt} does not hold the batch any more.")


def _held(batch: Batch) -> QuerySet[Batch]:
    """The batch, as long as this attempt holds it."""
    return Batch.objects.filter(
        pk=batch.pk, attempt=batch.attempt, state__in=Batch.HELD, lease_expires_at__gte=timezone.now()
    )


def _move(batches: QuerySet[Batch], target: State, **changes: object) -> bool:
    sources = [source for source, targets in ALLOWED.items() if target in targets]
    moved = batches.filter(state__in=sources).update(state=target, updated_at=timezone.now(), **changes)
    return bool(moved)
