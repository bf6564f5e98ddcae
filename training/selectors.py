"""Questions about jobs and workers."""

from collections import Counter
from datetime import timedelta

from django.utils import timezone

from control.activity import Activity

from .models import TrainingJob, WorkerHeartbeat


def running_activity() -> Activity | None:
    """Return the longest-running job, for status.json."""
    job = TrainingJob.objects.running().values_list("token", "task_type").first()
    return Activity(*job) if job else None


def position_in_queue(job: TrainingJob) -> int:
    """Return 1 for the job that starts next."""
    return TrainingJob.objects.ahead_of(job).count() + 1


def a_worker_is_alive(queue: str) -> bool:
    """Tell whether some worker that serves this queue was heard of lately."""
    return queue in slots_by_queue()


def slots_by_queue() -> dict[str, int]:
    """Return for each queue that live workers serve how many of its jobs they could run at a time."""
    since = timezone.now() - WorkerHeartbeat.ALIVE
    slots: Counter[str] = Counter()
    for queues, count in WorkerHeartbeat.objects.filter(seen_at__gt=since).values_list("queues", "slots"):
        slots.update(dict.fromkeys(queues, count))
    return dict(slots)


def seconds(span: timedelta) -> float:
    """Return a span in seconds, to a hundredth."""
    return round(span.total_seconds(), 2)
