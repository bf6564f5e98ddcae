"""Make whole again what a crash left half done. Safe to run at any time, by anybody, at once.

Cron runs it every minute, and every worker does while it lives.
"""

from collections import Counter
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from control.selectors import is_halted
from control.upkeep import do_upkeep
from documents.bucket import check_bucket, forget_overruled_changes
from documents.files import delete_prefix
from documents.publish import publish_waiting
from models_registry.checks import check_imported_models

from .checkpoints import delete_checkpoints
from .dispatch import route_queued_jobs
from .files import attempt_prefix
from .models import TrainingJob
from .pretrained import fetch_pretrained
from .selectors import slots_by_queue
from .services import ANNOUNCED_AT_ONCE, announce
from .transitions import take_from_dead_worker

logger = structlog.get_logger(__name__)


@dataclass
class ReconcileReport:
    """What was found and mended."""

    rescued: dict[int, str] = field(default_factory=dict)  # job id → its new state
    announced: int = 0
    swept: int = 0  # files of dead attempts
    checked: int = 0  # models of others that turned out to be usable
    documents: dict[str, str] = field(default_factory=dict)


def reconcile() -> ReconcileReport:
    """Rescue jobs of dead workers, bring documents into step, announce queued jobs, sweep and check files.

    Raises `BucketError` when the bucket stops answering half-way.
    """
    report = ReconcileReport()
    _rescue(report)
    do_upkeep()
    report.documents = publish_waiting()  # first, because it may find that an operator halts the platform
    route_queued_jobs()
    if not is_halted():
        _announce(report)
    _sweep(report)
    if "failed" not in report.documents.values():
        check_bucket()
        report.checked = check_imported_models()
    forget_overruled_changes()
    fetch_pretrained()  # last: large files let nothing else wait
    return report


def _rescue(report: ReconcileReport) -> None:
    now = timezone.now()
    for job in TrainingJob.objects.abandoned(now):
        state = take_from_dead_worker(job, now=now, max_attempts=settings.TRAINYARD["MAX_ATTEMPTS"])
        if state is not None:
            logger.warning("job.rescued", job=job.pk, attempt=job.attempt, state=str(state))
            report.rescued[job.pk] = str(state)


def _announce(report: ReconcileReport) -> None:
    """Send the hint again where it seems lost: a job waits although a worker has nothing to do."""
    now = timezone.now()
    stale = now - settings.TRAINYARD["RECONCILE_EVERY"]
    unheard = Q(announced_at__isnull=True) | Q(announced_at__lt=stale)
    queued = TrainingJob.objects.startable(now).filter(unheard)
    idle = _idle_queues()
    for job_id, queue, announced_at in queued.values_list("pk", "queue", "announced_at")[:ANNOUNCED_AT_ONCE]:
        if announced_at is None or queue in idle:
            report.announced += announce(job_id, queue=queue)


def _idle_queues() -> set[str]:
    """Return the queues that workers could take more jobs of than they do."""
    held = Counter(TrainingJob.objects.running().values_list("queue", flat=True))
    return {queue for queue, slots in slots_by_queue().items() if slots > held[queue]}


def _sweep(report: ReconcileReport) -> None:
    """Delete what attempts left in the bucket that did not make the model, and what nobody goes on from."""
    unswept = TrainingJob.objects.exclude(state__in=TrainingJob.HELD).filter(attempt__gt=F("swept_attempt"))
    for job in unswept:
        last = job.attempt
        for attempt in range(job.swept_attempt + 1, last + 1):
            if not (job.state == TrainingJob.State.SUCCEEDED and attempt == last):
                report.swept += delete_prefix(attempt_prefix(job, attempt))
        if job.is_final:
            report.swept += delete_checkpoints(job)
        TrainingJob.objects.filter(pk=job.pk, attempt=last, state=job.state).update(swept_attempt=last)
