"""Deletes files of batches: all but the result when one has ended, and the result with its row when it expires."""

import structlog
from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from bucket.factory import get_bucket
from control.selectors import is_halted
from core.periodic import for_each
from work.events import work_ended

from .files import folder_of, tidy
from .models import Batch

logger = structlog.get_logger(__name__)

DELETED_AT_ONCE = 1000


@receiver(work_ended, sender=Batch)
def tidy_up(work: Batch, **_: object) -> None:
    """Delete all files but the result; those that cannot be deleted now are when the batch expires."""
    transaction.on_commit(lambda: tidy(Batch.objects.get(pk=work.pk)), robust=True)


def delete_expired_batches() -> int:
    """Delete the batches whose time is over; returns how many, none while the platform is halted."""
    if is_halted():
        return 0
    return for_each(Batch.objects.expired(timezone.now()).order_by("?")[:DELETED_AT_ONCE], _delete)


def _delete(batch: Batch) -> bool:
    """Delete files first: a row without files is found again, files without a row are not."""
    pk, deleted = batch.pk, get_bucket().delete_folder(folder_of(batch))
    batch.delete()
    logger.info("batch.expired", batch=pk, files=deleted)
    return True
