"""The periodic tasks of jobs, which make whole again what a crash left half done."""

from collections import Counter

import structlog
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from bucket.factory import get_bucket
from control.selectors import is_halted
from core.periodic import for_each

from .files import attempt_prefix, delete_checkpoints
from .models import TrainingJob
from .selectors import slots_by_queue
from .services import ANNOUNCED_AT_ONCE, announce
from .transitions import take_from_dead_worker

logger = structlog.get_logger(__name__)

SWEPT_AT_ONCE = 1000  # jobs


def rescue_jobs() -> dict[int, str]:
    """Take jobs from dead workers; returns the new state of each by its id."""
    rescued: dict[int, str] = {}

    def rescue(job: TrainingJob) -> bool:
        limit = settings.TRAINYARD["MAX_ATTEMPTS"]
        state = take_from_dead_worker(job, now=timezone.now(), max_attempts=limit)
        if state is None:
            return False
        rescued[job.pk] = str(state)
        logger.warning("job.rescued", job=job.pk, attempt=job.attempt, state=str(state))
        return True

    for_each(TrainingJob.objects.abandoned(timezone.now()).order_by("?"), rescue)
    return rescued


def announce_jobs() -> int:
    """Send the hint again where it seems lost: a job waits although a worker has nothing to do.

    Returns how many jobs were announced, none while the platform is halted.
    """
    if is_halted():
        return 0
    now = timezone.now()
    stale = now - settings.TRAINYARD["RECONCILE_EVERY"]
    unheard = Q(announced_at__isnull=True) | Q(announced_at__lt=stale)
    queued = TrainingJob.objects.startable(now).filter(unheard)
    idle = _idle_queues()
    head = queued.values_list("pk", "queue", "announced_at")[:ANNOUNCED_AT_ONCE]
    lost = [(job_id, queue) for job_id, queue, at in head if at is None or queue in idle]
    return for_each(lost, lambda job: announce(job[0], queue=job[1]))


def _idle_queues() -> set[str]:
    """Return the queues that workers could take more jobs of than they do."""
    held = Counter(TrainingJob.objects.running().values_list("queue", flat=True))
    return {queue for queue, slots in slots_by_queue().items() if slots > held[queue]}


def sweep_files() -> int:
    """Delete what attempts left in the bucket that did not make the model, and what nobody goes on from.

    Returns how many files were deleted.
    """
    swept = Counter[str]()

    def sweep(job: TrainingJob) -> None:
        swept["files"] += _sweep(job)

    unswept = TrainingJob.objects.exclude(state__in=TrainingJob.HELD).filter(attempt__gt=F("swept_attempt"))
    for_each(unswept.order_by("?")[:SWEPT_AT_ONCE], sweep)
    return swept["files"]


def _sweep(job: TrainingJob) -> int:
    deleted, last = 0, job.attempt
    for attempt in range(job.swept_attempt + 1, last + 1):
        if not (job.state == TrainingJob.State.SUCCEEDED and attempt == last):
            deleted += get_bucket().delete_folder(attempt_prefix(job, attempt))
    if job.is_final:
        deleted += delete_checkpoints(job)
    TrainingJob.objects.filter(pk=job.pk, attempt=last, state=job.state).update(swept_attempt=last)
    return deleted
