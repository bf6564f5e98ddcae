"""How workers hear of work, and how work goes on when one dies."""

from collections.abc import Iterator
from datetime import timedelta

import structlog
from django.apps import apps
from django.utils import timezone

from core.periodic import for_each
from core.queue.app import send_hint

from .models import LeasedWork
from .transitions import take_from_dead_worker

logger = structlog.get_logger(__name__)

ANNOUNCED_AT_ONCE = 10  # the head of the queue; the others follow as it moves


def announce(kind: type[LeasedWork], pk: int) -> bool:
    """Tell the workers of queued work; a broker that is down only delays it until it is announced again."""
    if not send_hint(kind.TASK, pk, queue=kind.QUEUE):
        return False
    kind.objects.filter(pk=pk).update(announced_at=timezone.now())
    return True


def announce_waiting(kind: type[LeasedWork], *, unheard_for: timedelta) -> int:
    """Announce what waits and was not announced, or not lately; returns how much was."""
    unheard = kind.objects.unannounced(timezone.now() - unheard_for).values_list("pk", flat=True)
    return for_each(unheard[:ANNOUNCED_AT_ONCE], lambda pk: announce(kind, pk))


def rescue(kind: type[LeasedWork], *, max_attempts: int) -> int:
    """Take work from workers that have not renewed their lease; returns how much that was."""
    now = timezone.now()

    def take(work: LeasedWork) -> bool:
        state = take_from_dead_worker(work, now=now, max_attempts=max_attempts)
        if state is not None:
            logger.warning("work.rescued", kind=kind._meta.model_name, work=work.pk, state=str(state))
        return state is not None

    return for_each(kind.objects.abandoned(now).order_by("?"), take)


def waits_in(queue: str) -> bool:
    """Tell whether leased work of any kind waits for a worker of this queue."""
    return any(kind.objects.queued().exists() for kind in _kinds() if queue == kind.QUEUE)


def _kinds() -> Iterator[type[LeasedWork]]:
    return (model for model in apps.get_models() if issubclass(model, LeasedWork))
