"""The admin's first page: what needs a hand, what runs, what waits, what is stored.

It lives beside the settings because it looks at every app, and nothing else may. The sums over large
tables are remembered for a minute; everything else is asked each time, for rows that are few.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.admin.utils import quote
from django.core.cache import cache
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from control.models import CleanupPolicy, PlatformStatus
from documents.models import BucketCheck, Document, OutboxEntry
from models_registry.models import Artifact, RegisteredModel, TaskType
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob, WorkerHeartbeat
from training.jobs.phases import progress_in_words

SHOWN = 6
SUMS_KEY, SUMS_FOR = "admin-dashboard-sums", 60  # seconds
LONG = ("metrics", "accuracy_plot", "classes", "description")
JOBS, MODELS, DATASETS, WORKERS = (
    "admin:training_trainingjob_changelist",
    "admin:models_registry_registeredmodel_changelist",
    "admin:training_dataset_changelist",
    "admin:training_workerheartbeat_changelist",
)


@dataclass(frozen=True)
class Figure:
    """One number with what it counts, and where it leads."""

    title: str
    value: Any
    note: str
    link: str
    icon: str


@dataclass(frozen=True)
class Alarm:
    """Something that needs a hand, and where to lend it."""

    words: str
    link: str
    urgent: bool = True


def dashboard(request: HttpRequest, context: dict[str, object]) -> dict[str, object]:
    """Add what the page shows to those who may see it."""
    user = request.user
    alarms: list[Alarm] = []
    context |= {"title": "Overview", "alarms": alarms}
    if user.has_perm("control.view_platformstatus"):
        context |= _switches(alarms)
        context["may_switch"] = user.has_perm("control.change_platformstatus")
        context["may_clean"] = user.has_perm("control.change_cleanuppolicy")
    if user.has_perm("training.view_trainingjob"):
        context |= _work(alarms)
    if user.has_perm("models_registry.view_registeredmodel"):
        context |= _registry(alarms)
    if user.has_perm("documents.view_document"):
        context |= _documents(alarms)
    alarms.sort(key=lambda alarm: not alarm.urgent)
    return context


def _switches(alarms: list[Alarm]) -> dict[str, object]:
    status, policy = PlatformStatus.load(), CleanupPolicy.load()
    if status.dev_mode:
        words = "The platform is halted for maintenance: nothing is accepted, started, predicted or deleted."
        alarms.append(Alarm(words, reverse("admin:control_platformstatus_change", args=[status.pk])))
    if policy.status != CleanupPolicy.Status.ACTIVE:
        words = "The clean-up sleeps: nothing is deleted, expired models stay."
        link = reverse("admin:control_cleanuppolicy_change", args=[policy.pk])
        alarms.append(Alarm(words, link, urgent=False))
    return {"status": status, "policy": policy}


def _work(alarms: list[Alarm]) -> dict[str, object]:
    """Return the jobs that run, wait and failed, and the workers."""
    now = timezone.now()
    running = list(TrainingJob.objects.running().select_related("owner").defer("log_tail")[: 2 * SHOWN])
    waiting = dict(TrainingJob.objects.queued().order_by().values_list("queue").annotate(number=Count("pk")))
    workers = list(WorkerHeartbeat.objects.filter(seen_at__gt=now - timedelta(days=1))[: 2 * SHOWN])
    alive = [worker for worker in workers if worker.is_alive]
    _watch_workers(alarms, alive, waiting)
    held: dict[str, list[TrainingJob]] = {}
    for job in running:
        held.setdefault(job.worker, []).append(job)
    jobs = reverse(JOBS)
    figures = [
        _jobs("Training", _held(running), f"{jobs}?state__exact=running", "play_circle"),
        _jobs("Waiting", sum(waiting.values()), f"{jobs}?state__exact=queued", "hourglass_top"),
        Figure("Workers", len(alive), "alive", reverse(WORKERS), "memory"),
    ]
    return {
        "running_jobs": [(job, progress_in_words(job.state, job.how_far)) for job in running[:SHOWN]],
        "next_jobs": TrainingJob.objects.queued().select_related("owner").defer("log_tail")[:SHOWN],
        "failed_jobs": _failed_since(now - timedelta(days=1))[:SHOWN],
        "workers": [(worker, held.get(worker.name, [])) for worker in workers],
        "job_figures": figures,
    }


def _jobs(title: str, number: int, link: str, icon: str) -> Figure:
    return Figure(title, number, "job" if number == 1 else "jobs", link, icon)


def _held(running: list[TrainingJob]) -> int:
    """Count the jobs that run: those that are shown, or, when there are more, all."""
    return TrainingJob.objects.running().count() if len(running) >= 2 * SHOWN else len(running)


def _watch_workers(alarms: list[Alarm], alive: list[WorkerHeartbeat], waiting: dict[str, int]) -> None:
    served = {queue for worker in alive for queue in worker.queues}
    link = reverse(WORKERS)
    if not alive:
        alarms.append(Alarm("No worker is alive. Start one: manage.py worker", link))
        return
    for queue, number in waiting.items():
        if queue not in served:
            words = f"{number:,} jobs wait in the queue {queue}, which no worker serves."
            alarms.append(Alarm(f"{words} Start one: manage.py worker --queues {queue}", link))


def _registry(alarms: list[Alarm]) -> dict[str, object]:
    """Return the models by task, and what is stored."""
    sums = cache.get(SUMS_KEY)
    if sums is None:
        sums = _sums()
        cache.set(SUMS_KEY, sums, SUMS_FOR)
    models = reverse(MODELS)
    if sums["unusable"]:
        words = f"{sums['unusable']:,} live models cannot predict: their files are missing or damaged."
        alarms.append(Alarm(words, f"{models}?state__exact=live&unusable_because__isempty=0"))
    icons = {TaskType.IMAGE: "image", TaskType.TEXT: "notes"}
    figures = [
        Figure(
            f"{task.label}",
            sums["live"].get(task.value, 0),
            "live model" if sums["live"].get(task.value) == 1 else "live models",
            f"{models}?state__exact=live&task_type__exact={task.value}",
            icons[task],
        )
        for task in TaskType
    ]
    return {
        "model_figures": figures,
        "latest_models": RegisteredModel.objects.live().select_related("owner").defer(*LONG)[:SHOWN],
        "stored": [
            ("Models", sums["artifacts"], models),
            ("Data sets", sums["datasets"], reverse(DATASETS)),
        ],
    }


def _sums() -> dict[str, object]:
    live = RegisteredModel.objects.live().order_by()
    return {
        "live": dict(live.values_list("task_type").annotate(number=Count("pk"))),
        "unusable": live.exclude(unusable_because="").count(),
        "artifacts": Artifact.objects.aggregate(total=Sum("size"))["total"] or 0,
        "datasets": Dataset.objects.aggregate(total=Sum("size"))["total"] or 0,
    }


def _failed_since(since: object) -> QuerySet[TrainingJob]:
    failed = TrainingJob.objects.filter(state=TrainingJob.State.FAILED, finished_at__gt=since)
    return failed.select_related("owner").defer("log_tail").order_by("-finished_at")


def _documents(alarms: list[Alarm]) -> dict[str, object]:
    """Return how the documents stand, and whether the bucket keeps its word."""
    waiting = dict(OutboxEntry.objects.order_by().values_list("document").annotate(number=Count("pk")))
    documents = [
        (document, waiting.get(document.key, 0)) for document in Document.objects.defer("base", "sent")
    ]
    for document, _number in documents:
        link = reverse("admin:documents_document_change", args=[quote(document.key)])
        if document.last_error:
            alarms.append(Alarm(f"{document.key} could not be published: {document.last_error}", link))
        elif document.rejected_etag:
            words = (
                f"A version of {document.key} that others wrote cannot be used: {document.rejected_because}"
            )
            alarms.append(Alarm(words, link))
    bucket = BucketCheck.objects.first()
    if bucket and bucket.enforced is False:
        alarms.append(Alarm(bucket.message, reverse("admin:documents_document_changelist")))
    return {"documents": documents, "bucket": bucket}
