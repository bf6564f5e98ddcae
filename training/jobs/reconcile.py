"""Removes files that dead attempts of jobs have left in the bucket."""

from collections import Counter

from django.db.models import F

from bucket.factory import get_bucket
from core.periodic import for_each

from ..examples.files import LISTED, findings_key
from .files import attempt_prefix, delete_checkpoints
from .models import TrainingJob

SWEPT_AT_ONCE = 1000  # jobs


def sweep_files() -> int:
    """Delete files of attempts that did not make the model, and checkpoints that no attempt will continue from.

    Returns how many files were deleted.
    """
    swept = Counter[str]()

    def sweep(job: TrainingJob) -> None:
        swept["files"] += _sweep(job)

    unswept = TrainingJob.objects.exclude(state__in=TrainingJob.HELD).filter(attempt__gt=F("swept_attempt"))
    for_each(unswept.select_related("project").order_by("?")[:SWEPT_AT_ONCE], sweep)
    return swept["files"]


def _sweep(job: TrainingJob) -> int:
    deleted, last = 0, job.attempt
    for attempt in range(job.swept_attempt + 1, last + 1):
        if not (job.state == TrainingJob.State.SUCCEEDED and attempt == last):
            deleted += get_bucket().delete_folder(attempt_prefix(job, attempt))
            get_bucket().delete(findings_key(job.project, job.pk, attempt, LISTED))
    if job.is_final:
        deleted += delete_checkpoints(job)
    TrainingJob.objects.filter(pk=job.pk, attempt=last, state=job.state).update(swept_attempt=last)
    return deleted
