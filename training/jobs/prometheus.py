"""Prometheus metrics of jobs and workers."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Sum
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily

from .models import TrainingJob, WorkerHeartbeat


def read_metrics() -> Iterable[Metric]:
    """Return jobs by state, how long they waited and trained, and the workers that are alive."""
    yield _jobs()
    yield from _durations()
    now = timezone.now()
    oldest = TrainingJob.objects.queued().aggregate(since=Min("queued_at"))["since"]
    yield GaugeMetricFamily(
        "trainyard_oldest_queued_job_seconds",
        "How long the job has waited that waits longest.",
        value=(now - oldest).total_seconds() if oldest else 0,
    )
    alive = WorkerHeartbeat.objects.filter(seen_at__gt=now - WorkerHeartbeat.ALIVE)
    yield GaugeMetricFamily("trainyard_workers_alive", "Workers heard of lately.", value=alive.count())


def _jobs() -> Metric:
    family = GaugeMetricFamily("trainyard_jobs", "Jobs by state.", labels=["state"])
    found = dict(TrainingJob.objects.order_by().values_list("state").annotate(Count("pk")))
    for state in TrainingJob.State:
        family.add_metric([state], found.get(state, 0))
    return family


def _durations() -> Iterable[Metric]:
    """Sum up over all jobs that have ended after a start: what they waited, and what they took."""
    waited = SummaryMetricFamily(
        "trainyard_queue_wait_seconds", "Waiting for a worker, of jobs that have ended.", labels=["task_type"]
    )
    trained = SummaryMetricFamily(
        "trainyard_training_seconds",
        "Work on jobs that have ended, in all attempts.",
        labels=["task_type", "strategy", "state"],
    )
    lasted = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    queued = ExpressionWrapper(F("started_at") - F("queued_at"), output_field=DurationField())
    ended = TrainingJob.objects.order_by().exclude(finished_at=None).exclude(started_at=None)
    totals = {"count": Count("pk"), "queued": Sum(queued), "lasted": Sum(lasted), "earlier": Sum("spent")}
    for row in ended.values("task_type").annotate(**totals):
        wait = max(timedelta(), row["queued"] - row["earlier"])
        waited.add_metric([row["task_type"]], row["count"], wait.total_seconds())
    for row in ended.values("task_type", "strategy", "state").annotate(**totals):
        labels = [row["task_type"], row["strategy"], row["state"]]
        trained.add_metric(labels, row["count"], (row["lasted"] + row["earlier"]).total_seconds())
    yield waited
    yield trained
