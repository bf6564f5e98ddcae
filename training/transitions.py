"""The only place where a job changes its state.

Every step is one conditional UPDATE that names the states it may start from and, for a step of the
worker, the attempt that does it. Nobody else can have moved the job when it hits the row; when it
hits none, somebody else owns the job, and the caller has to stop (`StaleAttempt`).
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from core.exceptions import StaleAttempt
from documents import keys
from documents.outbox import mark_changed

from .models import TrainingJob

logger = structlog.get_logger(__name__)

State = TrainingJob.State

ALLOWED: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLING, State.QUEUED}),
    State.CANCELLING: frozenset({State.CANCELLED, State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def sources_of(target: State) -> list[State]:
    """Return the states from which `target` may be entered."""
    return [source for source, targets in ALLOWED.items() if target in targets]


@transaction.atomic
def _move(jobs: QuerySet[TrainingJob], target: State, **changes: Any) -> bool:
    moved = jobs.filter(state__in=sources_of(target)).update(
        state=target, updated_at=timezone.now(), **changes
    )
    if moved:
        mark_changed(keys.STATUS)
        mark_changed(keys.TRAINING)
    return bool(moved)


def _held(job_id: int, attempt: int) -> QuerySet[TrainingJob]:
    """The job, as long as this attempt holds it."""
    return TrainingJob.objects.filter(
        pk=job_id, attempt=attempt, state__in=TrainingJob.HELD, lease_expires_at__gte=timezone.now()
    )


def claim(job_id: int, *, worker: str, lease: timedelta) -> TrainingJob | None:
    """Take a queued job for a new attempt; None when there is nothing to take."""
    now = timezone.now()
    changes: dict[str, Any] = {
        "attempt": F("attempt") + 1,
        "worker": worker,
        "lease_expires_at": now + lease,
        "started_at": now,
        "progress": {"phase": "claimed"},
    }
    with transaction.atomic():
        if not _move(TrainingJob.objects.filter(pk=job_id), State.RUNNING, **changes):
            return None
        return TrainingJob.objects.select_related("dataset").get(pk=job_id)


def renew(job_id: int, *, attempt: int, lease: timedelta, **news: Any) -> State:
    """Prolong the lease and note progress; returns the state. Raises `StaleAttempt`."""
    if not _held(job_id, attempt).update(lease_expires_at=timezone.now() + lease, **news):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")
    return State(TrainingJob.objects.values_list("state", flat=True).get(pk=job_id))


def succeed(job_id: int, *, attempt: int, model_id: int, **news: Any) -> None:
    """End a job with its model; call inside the transaction that makes the model."""
    changes = {
        **news,
        "registered_model_id": model_id,
        "lease_expires_at": None,
        "finished_at": timezone.now(),
    }
    if not _move(_held(job_id, attempt), State.SUCCEEDED, **changes):
        raise StaleAttempt(f"Attempt {attempt} came too late to publish.")


def fail(job_id: int, *, attempt: int, error: str, **news: Any) -> None:
    """End a job that cannot succeed; `error` is shown to its owner."""
    changes = {**news, "error": error, "lease_expires_at": None, "finished_at": timezone.now()}
    if not _move(_held(job_id, attempt), State.FAILED, **changes):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")


def finish_cancelling(job_id: int, *, attempt: int) -> None:
    """End a job whose cancellation its worker has carried out."""
    changes = {"lease_expires_at": None, "finished_at": timezone.now()}
    if not _move(_held(job_id, attempt), State.CANCELLED, **changes):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")


def hand_back(job_id: int, *, attempt: int, reason: str, max_attempts: int) -> None:
    """Return a job whose trainer died to the queue, or fail it after the last attempt."""
    if attempt >= max_attempts:
        fail(job_id, attempt=attempt, error=f"Gave up after {attempt} attempts: {reason}")
    elif not _move(_held(job_id, attempt), State.QUEUED, **_queued_again(reason)):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")


def cancel(job_id: int) -> bool:
    """End a queued job, or ask a running one to end; False when it has ended already."""
    job = TrainingJob.objects.filter(pk=job_id)
    return (
        _move(job.filter(state=State.QUEUED), State.CANCELLED, finished_at=timezone.now())
        or _move(job, State.CANCELLING)
        or job.filter(state=State.CANCELLING).exists()
    )


def take_from_dead_worker(job: TrainingJob, *, now: datetime, max_attempts: int) -> State | None:
    """Requeue (or end) a job whose lease is over; None when its worker or another rescuer was faster."""
    row = TrainingJob.objects.filter(pk=job.pk, attempt=job.attempt, lease_expires_at__lt=now)
    reason = f"worker {job.worker or '?'} stopped answering in attempt {job.attempt}"
    over: dict[str, Any] = {"lease_expires_at": None, "finished_at": now}
    if _move(row.filter(state=State.CANCELLING), State.CANCELLED, **over):
        return State.CANCELLED
    if job.attempt >= max_attempts:
        error = f"Gave up after {job.attempt} attempts: {reason}"
        return State.FAILED if _move(row, State.FAILED, error=error, **over) else None
    return (
        State.QUEUED
        if _move(row.filter(~Q(state=State.QUEUED)), State.QUEUED, **_queued_again(reason))
        else None
    )


def _queued_again(reason: str) -> dict[str, Any]:
    return {
        "lease_expires_at": None,
        "worker": "",
        "announced_at": None,
        "started_at": None,
        "progress": {"phase": "queued", "message": f"Queued again: {reason}."},
    }
