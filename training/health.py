"""Are the queue and its workers well?"""

from celery import current_app
from django.utils import timezone

from core.health import NotWell

from .models import WorkerHeartbeat

CONNECTS_WITHIN = 2  # seconds


def look_at_broker() -> None:
    """Connect to the broker. Raises what its client raises."""
    with current_app.connection_for_write(connect_timeout=CONNECTS_WITHIN) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECTS_WITHIN)


def look_for_worker() -> None:
    """Raise `NotWell` when no worker was heard of lately."""
    if not WorkerHeartbeat.objects.filter(seen_at__gt=timezone.now() - WorkerHeartbeat.ALIVE).exists():
        raise NotWell("none is alive")
