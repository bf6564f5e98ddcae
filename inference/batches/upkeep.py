"""What keeps batches going when somebody dies: part of every `reconcile`, safe to run at any time."""

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from control.selectors import is_halted
from documents.files import delete_prefix
from inference.models import Batch

from . import transitions
from .files import folder_of, tidy
from .services import announce

logger = structlog.get_logger(__name__)

AT_ONCE = 50


def keep_batches_going() -> None:
    """Rescue batches of dead workers, announce those that wait, delete what is over."""
    _rescue()
    if not is_halted():
        _announce()
        _expire()


def _rescue() -> None:
    now, limits = timezone.now(), settings.TRAINYARD
    for batch in Batch.objects.abandoned(now):
        if transitions.take_from_dead_worker(
            batch, now=now, max_attempts=limits["MAX_ATTEMPTS"], keep=limits["BATCH_RETENTION"]
        ):
            batch.refresh_from_db()
            logger.warning("batch.rescued", batch=batch.pk, attempt=batch.attempt, state=batch.state)
            if batch.is_final:
                tidy(batch)


def _announce() -> None:
    stale = timezone.now() - settings.TRAINYARD["RECONCILE_EVERY"]
    unheard = Q(announced_at=None) | Q(announced_at__lt=stale)
    for pk in Batch.objects.queued().filter(unheard).values_list("pk", flat=True)[:AT_ONCE]:
        announce(pk)


def _expire() -> None:
    """Delete files first: a row without files is found again, files without a row are not."""
    for batch in Batch.objects.expired(timezone.now())[:AT_ONCE]:
        deleted = delete_prefix(folder_of(batch))
        batch.delete()
        logger.info("batch.expired", batch=batch.pk, files=deleted)
