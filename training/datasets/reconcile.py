"""Deletes the files of unusable data sets, later if the bucket is away."""

from functools import partial

from django.db import transaction
from django.dispatch import receiver

from core.periodic import for_each
from work.events import work_ended

from .models import DatasetValidation
from .outcomes import sweep, unswept

ROWS_PER_RUN = 50


@receiver(work_ended, sender=DatasetValidation)
def sweep_at_once(work: DatasetValidation, **_: object) -> None:
    """Delete the file of a data set that has turned out to be unusable; one that is ready keeps its."""
    transaction.on_commit(partial(sweep, work), robust=True)


def sweep_unusable_datasets() -> int:
    """Delete the files of unusable data sets; returns of how many."""
    return for_each(unswept().order_by("?")[:ROWS_PER_RUN], sweep)
