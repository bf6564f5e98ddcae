"""What a worker process does for every kind of leased work; Celery imports this in workers only."""

from django.dispatch import receiver

from core.queue.consumer import broker_connected

from . import stopping  # noqa: F401 - its signal handler belongs to every worker
from .queue import announce_head, kinds


@receiver(broker_connected)
def announce_what_the_broker_may_have_lost(**_: object) -> None:
    """Announce the head of every queue once the broker is connected, without waiting for the next reconcile."""
    for kind in kinds():
        announce_head(kind)
