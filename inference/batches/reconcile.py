"""The periodic tasks of batches, which make whole again what a crash left half done."""

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from bucket.factory import get_bucket
from control.selectors import is_halted
from core.periodic import for_each

from . import transitions
from .files import folder_of, tidy
from .models import Batch
from .services import announce

logger = structlog.get_logger(__name__)

AT_ONCE = 50  # batches that are announced: the head of the queue; the others follow as it moves
DELETED_AT_ONCE = 1000


def rescue_batches() -> int:
    """Return the batches of dead workers to the queue, or end them; returns how many."""
    return for_each(Batch.objects.abandoned(timezone.now()).order_by("?"), _rescue)


def _rescue(batch: Batch) -> bool:
    limits = settings.TRAINYARD
    rescued = transitions.take_from_dead_worker(
        batch, now=timezone.now(), max_attempts=limits["MAX_ATTEMPTS"], keep=limits["BATCH_RETENTION"]
    )
    if rescued:
        batch.refresh_from_db()
        logger.warning("batch.rescued", batch=batch.pk, attempt=batch.attempt, state=batch.state)
        if batch.is_final:
            tidy(batch)
    return bool(rescued)


def announce_batches() -> int:
    """Tell the workers again of batches that wait; returns how many, none while the platform is halted."""
    if is_halted():
        return 0
    stale = timezone.now() - settings.TRAINYARD["RECONCILE_EVERY"]
    unheard = Q(announced_at=None) | Q(announced_at__lt=stale)
    waiting = Batch.objects.queued().filter(unheard)
    return for_each(waiting.values_list("pk", flat=True)[:AT_ONCE], announce)


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
