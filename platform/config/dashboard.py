"""The admin's first page: what runs, what waits, what is stored, and whether anything needs a hand.

It lives beside the settings because it looks at every app, and nothing else may. The sums over large
tables are remembered for a minute; everything else is asked each time, for rows that are few.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from control.models import CleanupPolicy, PlatformStatus
from documents.models import BucketCheck, Document, OutboxEntry
from models_registry.models import Artifact, RegisteredModel, TaskType
from training.models import Dataset, TrainingJob, WorkerHeartbeat

SHOWN = 8
SUMS_KEY, SUMS_FOR = "admin-dashboard-sums", 60  # seconds


@dataclass(frozen=True)
class Figure:
    """One number with what it counts, and where it leads."""

    title: str
    value: Any
    note: str
    link: str
    alarming: bool = False


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the page shows to those who may see it."""
    user, now = request.user, timezone.now()
    context["title"] = "Overview"
    if user.has_perm("training.view_trainingjob"):
        context["running_jobs"] = TrainingJob.objects.running().select_related("owner")[:SHOWN]
        context["failed_jobs"] = _failed_since(now - timedelta(days=1))[:SHOWN]
        context["workers"] = WorkerHeartbeat.objects.filter(seen_at__gt=now - timedelta(days=1))[:SHOWN]
        context["figures"] = [*_job_figures(), *_model_figures()]
    if user.has_perm("documents.view_document"):
        context["documents"] = _documents()
        context["bucket"] = BucketCheck.objects.first()
    if user.has_perm("control.view_platformstatus"):
        context["status"], context["policy"] = PlatformStatus.load(), CleanupPolicy.load()
        context["may_switch"] = user.has_perm("control.change_platformstatus")
    return context


def _job_figures() -> list[Figure]:
    counts = dict(
        TrainingJob.objects.unfinished().order_by().values_list("state").annotate(number=Count("pk"))
    )
    queued = counts.get(TrainingJob.State.QUEUED, 0)
    running = sum(counts.get(state, 0) for state in TrainingJob.HELD)
    alive = WorkerHeartbeat.objects.filter(seen_at__gt=timezone.now() - WorkerHeartbeat.ALIVE).count()
    jobs = reverse("admin:training_trainingjob_changelist")
    return [
        Figure("Training", running, "jobs", f"{jobs}?state__exact=running"),
        Figure("Waiting", queued, "jobs in the queue", f"{jobs}?state__exact=queued"),
        Figure(
            "Workers",
            alive,
            "alive" if alive else "Start one: manage.py worker",
            reverse("admin:training_workerheartbeat_changelist"),
            alarming=not alive,
        ),
    ]


def _model_figures() -> list[Figure]:
    sums = cache.get(SUMS_KEY)
    if sums is None:
        sums = _sums()
        cache.set(SUMS_KEY, sums, SUMS_FOR)
    models = reverse("admin:models_registry_registeredmodel_changelist")
    return [
        *(
            Figure(
                f"{task.label}",
                sums["live"].get(task.value, 0),
                "live models",
                f"{models}?state__exact=live&task_type__exact={task.value}",
            )
            for task in TaskType
        ),
        Figure(
            "Unusable",
            sums["unusable"],
            "live models",
            f"{models}?state__exact=live&unusable_because__isempty=0",
            alarming=bool(sums["unusable"]),
        ),
        Figure("Stored models", sums["artifacts"], "bytes", models),
        Figure("Stored data", sums["datasets"], "bytes", reverse("admin:training_dataset_changelist")),
    ]


def _sums() -> dict[str, Any]:
    live = RegisteredModel.objects.live().order_by()
    return {
        "live": dict(live.values_list("task_type").annotate(number=Count("pk"))),
        "unusable": live.exclude(unusable_because="").count(),
        "artifacts": Artifact.objects.aggregate(total=Sum("size"))["total"] or 0,
        "datasets": Dataset.objects.aggregate(total=Sum("size"))["total"] or 0,
    }


def _failed_since(since: Any) -> Any:
    failed = TrainingJob.objects.filter(state=TrainingJob.State.FAILED, finished_at__gt=since)
    return failed.select_related("owner").order_by("-finished_at")


def _documents() -> list[tuple[Document, int]]:
    waiting = dict(OutboxEntry.objects.order_by().values_list("document").annotate(number=Count("pk")))
    return [(document, waiting.get(document.key, 0)) for document in Document.objects.defer("base")]
