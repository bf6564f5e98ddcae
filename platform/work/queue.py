"""Messages to workers about queued work, and the rescue of work whose worker has died."""

from collections import Counter
from collections.abc import Callable

import structlog
from django.apps import apps
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from control.selectors import is_halted
from core.periodic import for_each
from core.queue.app import send_hint

from .models import LeasedQuerySet, LeasedWork
from .transitions import take_from_dead_worker

logger = structlog.get_logger(__name__)

ANNOUNCED_AT_ONCE = 10  # the head of the queue; the others follow as it moves

_slots: Callable[[], dict[str, int]] = dict


def set_slots_source(source: Callable[[], dict[str, int]]) -> None:
    """Register the function that returns how much work the live workers do at a time, by queue."""
    global _slots
    _slots = source


def kinds() -> list[type[LeasedWork]]:
    """Return every kind of leased work."""
    return [model for model in apps.get_models() if issubclass(model, LeasedWork)]


def announce(work: LeasedWork) -> bool:
    """Send a message about queued work; returns whether the broker took it. If not, reconcile sends it again."""
    if not send_hint(work.TASK, work.pk, queue=work.queue):
        return False
    type(work).objects.filter(pk=work.pk).update(announced_at=timezone.now())
    return True


def announce_head(kind: type[LeasedWork]) -> int:
    """Announce the head of the queue again, for a broker that may have lost messages; returns how much."""
    return _announce(_startable(kind))


def announce_waiting(kind: type[LeasedWork]) -> int:
    """Announce queued work that was not announced, as after maintenance; returns how much."""
    return _announce(_startable(kind).filter(announced_at=None))


def announce_lost(kind: type[LeasedWork]) -> int:
    """Announce queued work that was not announced, or long ago while a worker is idle; returns how much."""
    forgotten = timezone.now() - settings.TRAINYARD["RECONCILE_EVERY"]
    lost = Q(announced_at=None) | Q(announced_at__lt=forgotten, queue__in=_idle_queues())
    return _announce(_startable(kind).filter(lost))


def rescue(kind: type[LeasedWork]) -> dict[int, str]:
    """Take work from workers that have not renewed their lease; returns its new states by its ids."""
    rescued: dict[int, str] = {}

    def take(work: LeasedWork) -> bool:
        state = take_from_dead_worker(work, now=timezone.now())
        if state is None:
            return False
        rescued[work.pk] = str(state)
        logger.warning(f"{kind.noun()}.rescued", work=work.pk, attempt=work.attempt, state=str(state))
        return True

    for_each(kind.objects.abandoned(timezone.now()).order_by("?"), take)
    return rescued


def waits_in(queue: str) -> bool:
    """Tell whether leased work of any kind waits for a worker of this queue."""
    return any(_startable(kind).filter(queue=queue).exists() for kind in kinds())


def _startable(kind: type[LeasedWork]) -> LeasedQuerySet:
    waiting: LeasedQuerySet = kind.objects.startable(timezone.now())
    return waiting


def _announce(waiting: LeasedQuerySet) -> int:
    """Announce the head of what waits; nothing while the platform is halted."""
    return 0 if is_halted() else for_each(waiting[:ANNOUNCED_AT_ONCE], announce)


def _idle_queues() -> set[str]:
    """Return the queues that workers could take more work of than they do."""
    held = Counter[str]()
    for kind in kinds():
        held.update(kind.objects.running().values_list("queue", flat=True))
    return {queue for queue, slots in _slots().items() if slots > held[queue]}
