"""The only place where a job changes its state.

Every step is one conditional UPDATE that names the states it may start from and, for a step of the
worker, the attempt that does it. Nobody else can have moved the job when it hits the row; when it
hits none, somebody else owns the job, and the caller has to stop (`StaleAttempt`).
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import StaleAttempt
from documents import keys
from documents.outbox import mark_changed

from .models import TrainingJob
from .phases import where_it_goes_on
from .progress import JobProgress

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
def _move(jobs: QuerySet[TrainingJob], target: State, **changes: object) -> bool:
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
    """Take a queued job for a new attempt; None when there is nothing to take, or nothing may start."""
    now = timezone.now()
    halted = Exists(PlatformStatus.objects.filter(dev_mode=True))
    with transaction.atomic():
        job = TrainingJob.objects.select_related("dataset").filter(pk=job_id).first()
        if job is None:
            return None
        changes: dict[str, Any] = {
            "attempt": F("attempt") + 1,
            "worker": worker,
            "lease_expires_at": now + lease,
            "started_at": now,
            "not_before": None,
            "progress": job.how_far.kept("claimed").to_json(),
        }
        if not _move(TrainingJob.objects.filter(~halted, pk=job_id), State.RUNNING, **changes):
            return None
        job.refresh_from_db()
        return job


def renew(job_id: int, *, attempt: int, lease: timedelta, **news: object) -> None:
    """Prolong the lease and note progress. Raises `StaleAttempt`."""
    if not _held(job_id, attempt).update(lease_expires_at=timezone.now() + lease, **news):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")


def state_of(job_id: int, *, attempt: int) -> State:
    """Return the state of a job that this attempt holds. Raises `StaleAttempt`."""
    state = _held(job_id, attempt).values_list("state", flat=True).first()
    if state is None:
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")
    return State(state)


def succeed(job_id: int, *, attempt: int, model_id: int, **news: object) -> None:
    """End a job with its model; call inside the transaction that makes the model."""
    changes = {
        **news,
        "registered_model_id": model_id,
        "lease_expires_at": None,
        "finished_at": timezone.now(),
    }
    if not _move(_held(job_id, attempt), State.SUCCEEDED, **changes):
        raise StaleAttempt(f"Attempt {attempt} came too late to publish.")


def fail(job_id: int, *, attempt: int, error: str, **news: object) -> None:
    """End a job that cannot succeed; `error` is shown to its owner."""
    changes = {**news, "error": error, "lease_expires_at": None, "finished_at": timezone.now()}
    if not _move(_held(job_id, attempt), State.FAILED, **changes):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")


def finish_cancelling(job_id: int, *, attempt: int) -> None:
    """End a job whose cancellation its worker has carried out."""
    changes = {"lease_expires_at": None, "finished_at": timezone.now()}
    if not _move(_held(job_id, attempt), State.CANCELLED, **changes):
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")


def suspend(job_id: int, *, attempt: int, reason: str, progress: JobProgress) -> None:
    """Return a job to the queue through no fault of its own; it goes on from its last checkpoint."""
    _return(_held(job_id, attempt), attempt=attempt, reason=reason, progress=progress)


def hand_back(job_id: int, *, attempt: int, reason: str, max_attempts: int, progress: JobProgress) -> None:
    """Return a job whose trainer died to the queue, or fail it when that has happened too often."""
    held = _held(job_id, attempt)
    if held.filter(failures__gte=max_attempts - 1).exists():
        fail(job_id, attempt=attempt, error=_gave_up(max_attempts, reason), failures=F("failures") + 1)
        return
    reason = f"Queued again: {reason}"
    _return(held, attempt=attempt, reason=reason, progress=progress, failures=F("failures") + 1)


def requeue(job_id: int) -> bool:
    """Take a running job from its worker, which notices and stops; False when it does not run."""
    jobs = TrainingJob.objects.filter(pk=job_id, state=State.RUNNING)
    job = jobs.first()
    if job is None:
        return False
    changes = _queued_again(job, "Put back into the queue by an administrator", job.how_far)
    return _move(jobs.filter(attempt=job.attempt), State.QUEUED, **changes)


def postpone(job_id: int, *, until: datetime, reason: str) -> None:
    """Let a queued job wait, and others go before it."""
    TrainingJob.objects.filter(pk=job_id, state=State.QUEUED).update(
        not_before=until, announced_at=None, progress=JobProgress("queued", message=reason).to_json()
    )


def refuse(job_id: int, *, error: str) -> None:
    """End a queued job that cannot be run here."""
    queued = TrainingJob.objects.filter(pk=job_id, state=State.QUEUED)
    _move(queued, State.FAILED, error=error, finished_at=timezone.now(), swept_attempt=0)


def cancel(job_id: int) -> bool:
    """End a queued job, or ask a running one to end; False when it has ended already."""
    job = TrainingJob.objects.filter(pk=job_id)
    # A queued job may have a checkpoint in the bucket: `swept_attempt=0` lets reconcile look once more.
    ended = {"finished_at": timezone.now(), "swept_attempt": 0}
    return (
        _move(job.filter(state=State.QUEUED), State.CANCELLED, **ended)
        or _move(job, State.CANCELLING)
        or job.filter(state=State.CANCELLING).exists()
    )


def take_from_dead_worker(job: TrainingJob, *, now: datetime, max_attempts: int) -> State | None:
    """Requeue (or end) a job whose lease is over; None when its worker or another rescuer was faster."""
    row = TrainingJob.objects.filter(pk=job.pk, attempt=job.attempt, lease_expires_at__lt=now)
    reason = f"worker {job.worker or '?'} stopped answering in attempt {job.attempt}"
    over: dict[str, Any] = {"lease_expires_at": None, "finished_at": now}
    failures = job.failures + 1
    if _move(row.filter(state=State.CANCELLING), State.CANCELLED, **over):
        return State.CANCELLED
    if failures >= max_attempts:
        error = _gave_up(failures, reason)
        return State.FAILED if _move(row, State.FAILED, error=error, failures=failures, **over) else None
    changes = _queued_again(job, f"Queued again: {reason}", job.how_far, failures=failures)
    return State.QUEUED if _move(row.filter(state=State.RUNNING), State.QUEUED, **changes) else None


@transaction.atomic
def _return(
    held: QuerySet[TrainingJob], *, attempt: int, reason: str, progress: JobProgress, **changes: Any
) -> None:
    """Put a held job back into the queue; one that was cancelled in this moment ends instead."""
    job = held.first()
    if job is None:
        raise StaleAttempt(f"Attempt {attempt} does not hold the job any more.")
    changes = _queued_again(job, reason, progress, **changes)
    if not _move(held.filter(state=State.RUNNING), State.QUEUED, **changes):
        finish_cancelling(job.pk, attempt=attempt)


def _queued_again(
    job: TrainingJob, reason: str, progress: JobProgress, **changes: object
) -> dict[str, object]:
    """Return what changes in a job that goes back to the queue; what it has reached stays in view."""
    now = timezone.now()
    return {
        **changes,
        "lease_expires_at": None,
        "worker": "",
        "announced_at": None,
        "started_at": None,
        "spent": job.spent + (now - (job.started_at or now)),
        "progress": progress.kept("queued", f"{reason}{where_it_goes_on(progress)}.").to_json(),
    }


def _gave_up(failures: int, reason: str) -> str:
    return f"Gave up after {failures} failed attempt{'' if failures == 1 else 's'}: {reason}"
