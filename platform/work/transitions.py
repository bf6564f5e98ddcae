"""The only place where leased work changes its state: conditional UPDATEs.

A step of a worker names its attempt and needs the lease. When it hits no row, the work was taken from this
attempt, or deleted: the caller has to stop (`StaleAttempt`) and leave no trace.
"""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import Combinable
from django.utils import timezone

from core.exceptions import StaleAttempt

from .models import LeasedWork, State

LOOKED_AT = 20  # rows at the head of the queue, which others may take meanwhile
MESSAGE = 500  # characters

Work = TypeVar("Work", bound=LeasedWork)


def claim_next(
    kind: type[Work], *, worker: str, lease: timedelta, where: Q | Combinable | None = None
) -> Work | None:
    """Take the work whose turn it is for a new attempt; None when none waits, or `where` is not so."""
    now = timezone.now()
    changes: dict[str, Any] = {
        "attempt": F("attempt") + 1,
        "worker": worker[:200],
        "lease_expires_at": now + lease,
        "started_at": now,
        "message": "",
    }
    allowed = kind.objects.filter(*([] if where is None else [where]))
    for pk in kind.objects.queued().values_list("pk", flat=True)[:LOOKED_AT]:
        if _move(allowed.filter(pk=pk), State.RUNNING, **changes):
            return kind.objects.filter(pk=pk).first()
    return None


def renew(work: LeasedWork, *, lease: timedelta, **news: object) -> None:
    """Prolong the lease, and write fields of the row with it. Raises `StaleAttempt`."""
    if not _held(work).update(lease_expires_at=timezone.now() + lease, updated_at=timezone.now(), **news):
        raise _stale(work)


def succeed(work: LeasedWork, **changes: object) -> None:
    """End work that is done; call it inside the transaction that keeps the outcome. Raises `StaleAttempt`."""
    if not _move(_held(work), State.SUCCEEDED, **_over(), **changes):
        raise _stale(work)


@transaction.atomic
def fail(work: LeasedWork, *, reason: str, **changes: object) -> None:
    """End work that cannot succeed; `reason` is shown. Raises `StaleAttempt`."""
    if not _move(_held(work), State.FAILED, message=reason[:MESSAGE], **_over(), **changes):
        raise _stale(work)
    work.when_failed(reason)


def hand_back(work: LeasedWork, *, reason: str) -> None:
    """Return work to the queue through no fault of its own. Raises `StaleAttempt`."""
    if not _move(_held(work), State.QUEUED, **_queued_again(reason)):
        raise _stale(work)


def hand_back_or_fail(work: LeasedWork, *, reason: str, max_attempts: int) -> None:
    """Return work whose attempt died to the queue, or fail it when that has happened too often.

    Raises `StaleAttempt`.
    """
    failures = work.failures + 1
    if failures >= max_attempts:
        fail(work, reason=_gave_up(failures, reason), failures=failures)
    elif not _move(_held(work), State.QUEUED, failures=failures, **_queued_again(f"Waits again: {reason}")):
        raise _stale(work)


@transaction.atomic
def take_from_dead_worker(work: LeasedWork, *, now: datetime, max_attempts: int) -> State | None:
    """Requeue (or fail) work whose lease is over; None when its worker or another rescuer was faster."""
    row = type(work).objects.abandoned(now).filter(pk=work.pk, attempt=work.attempt)
    failures, reason = work.failures + 1, f"its worker stopped answering in attempt {work.attempt}"
    if failures < max_attempts:
        moved = _move(row, State.QUEUED, failures=failures, **_queued_again(f"Waits again: {reason}."))
        return State.QUEUED if moved else None
    reason = _gave_up(failures, f"{reason}.")
    if not _move(row, State.FAILED, message=reason[:MESSAGE], failures=failures, **_over()):
        return None
    work.when_failed(reason)
    return State.FAILED


def _held(work: LeasedWork) -> QuerySet[Any]:
    """The row, as long as this attempt holds it."""
    return type(work).objects.held(timezone.now()).filter(pk=work.pk, attempt=work.attempt)


def _move(rows: QuerySet[Any], target: State, **changes: Any) -> bool:
    sources = [source for source, targets in rows.model.ALLOWED.items() if target in targets]
    moved = rows.filter(state__in=sources).update(state=target, updated_at=timezone.now(), **changes)
    return bool(moved)


def _over() -> dict[str, object]:
    return {"lease_expires_at": None, "finished_at": timezone.now()}


def _queued_again(reason: str) -> dict[str, object]:
    return {
        "message": reason[:MESSAGE],
        "worker": "",
        "lease_expires_at": None,
        "announced_at": None,
        "started_at": None,
        "queued_at": timezone.now(),
    }


def _gave_up(failures: int, reason: str) -> str:
    return f"Gave up after {failures} failed attempt{'' if failures == 1 else 's'}: {reason}"


def _stale(work: LeasedWork) -> StaleAttempt:
    return StaleAttempt(f"Attempt {work.attempt} does not hold {work._meta.verbose_name} {work.pk} any more.")
