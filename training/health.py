"""Are the workers well?"""

from django.utils import timezone

from core.health import NotWell

from .models import WorkerHeartbeat


def look_for_worker() -> None:
    """Raise `NotWell` when no worker was heard of lately."""
    if not WorkerHeartbeat.objects.filter(seen_at__gt=timezone.now() - WorkerHeartbeat.ALIVE).exists():
        raise NotWell("none is alive")
