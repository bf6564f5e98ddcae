"""Health checks of workers and periodic tasks."""

from datetime import datetime

from django.utils import timezone

from core.observability.health import Unhealthy
from core.periodic import PERIODS_UNTIL_LATE, late_tasks

from ..jobs.models import WorkerHeartbeat


def look_for_worker() -> None:
    """Raise `Unhealthy` without a live worker."""
    if _up_since() is None:
        raise Unhealthy("none is alive")


def look_at_periodic_tasks() -> None:
    """Raise `Unhealthy` when periodic tasks are late; without a live worker that is not reported here."""
    up_since = _up_since()
    late = late_tasks(up_since=up_since) if up_since is not None else []
    if late:
        raise Unhealthy(f"not ended well within {PERIODS_UNTIL_LATE} periods: {', '.join(late)}")


def _up_since() -> datetime | None:
    """Return when the oldest live worker was started; None without a live worker."""
    alive = WorkerHeartbeat.objects.filter(seen_at__gt=timezone.now() - WorkerHeartbeat.ALIVE)
    return alive.order_by("started_at").values_list("started_at", flat=True).first()
