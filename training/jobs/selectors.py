"""Reads of jobs and workers."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from control.activity import Activity

from .estimates import Ended, Estimates
from .models import TrainingJob, WorkerHeartbeat
from .schedule import seconds_until_start

LOOKED_AT = 200  # jobs ahead, and jobs that ended lately
DURATION_FIELDS = ("task_type", "strategy", "started_at", "finished_at", "spent", "advanced")


def running_activity() -> Activity | None:
    """Return the longest-running job, for status.json."""
    job = TrainingJob.objects.running().values_list("token", "task_type").first()
    return Activity(*job) if job else None


def position_in_queue(job: TrainingJob) -> int:
    """Return 1 for the job that starts next."""
    return TrainingJob.objects.ahead_of(job).count() + 1


def a_worker_is_alive(queue: str) -> bool:
    """Tell whether a live worker serves this queue."""
    return queue in slots_by_queue()


def slots_by_queue() -> dict[str, int]:
    """Return for each queue that live workers serve how many of its jobs they could run at a time."""
    since = timezone.now() - WorkerHeartbeat.ALIVE
    slots: Counter[str] = Counter()
    for queues, count in WorkerHeartbeat.objects.filter(seen_at__gt=since).values_list("queues", "slots"):
        slots.update(dict.fromkeys(queues, count))
    return dict(slots)


def expected_start(job: TrainingJob) -> datetime | None:
    """Return the expected start of a queued job; None without a worker or without measured times."""
    slots = slots_by_queue().get(job.queue)
    if not slots or job.state != TrainingJob.State.QUEUED:
        return None
    estimates, now = recent_estimates(), timezone.now()
    ahead = TrainingJob.objects.ahead_of(job).values_list("task_type", "strategy", "dataset__examples")
    lengths = [estimates.seconds(*kind) for kind in ahead[:LOOKED_AT]]
    running = TrainingJob.objects.running().filter(queue=job.queue).only(*DURATION_FIELDS, "progress")
    left = [_seconds_left(other, estimates) for other in running.annotate(examples=F("dataset__examples"))]
    if None in lengths or None in left:
        return None
    known_lengths, known_left = [one or 0 for one in lengths], [one or 0 for one in left]
    wait = seconds_until_start(slots=slots, running=known_left, ahead=known_lengths)
    start = now + timedelta(seconds=wait)
    return max(start, job.not_before) if job.not_before else start


def recent_estimates() -> Estimates:
    """Return how long trainings take, by what the jobs that succeeded lately took."""
    jobs = TrainingJob.objects.filter(state=TrainingJob.State.SUCCEEDED, started_at__isnull=False)
    jobs = jobs.order_by("-finished_at").only(*DURATION_FIELDS).annotate(examples=F("dataset__examples"))
    return Estimates(
        Ended(job.task_type, job.strategy, job.examples, job.running_for.total_seconds())
        for job in jobs[:LOOKED_AT]
    )


def _seconds_left(job: Any, estimates: Estimates) -> float | None:
    """Return what a running job (with its `examples`) will still take, as its trainer or like jobs tell."""
    told: float | None = job.how_far.measured.seconds_left
    if told is not None:
        return told
    usual = estimates.seconds(job.task_type, job.strategy, job.examples, budget_minutes=job.budget_minutes)
    return None if usual is None else max(0.0, usual - job.running_for.total_seconds())


def seconds(span: timedelta) -> float:
    """Return a span in seconds, to a hundredth."""
    return round(span.total_seconds(), 2)
