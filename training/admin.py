"""Admin pages of data sets, jobs and workers. What the machine owns is read-only."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display

from core.admin import MachineOwnedAdmin
from core.exceptions import TrainyardError

from .models import Dataset, TrainingJob, WorkerHeartbeat
from .selectors import seconds
from .services import cancel_job, requeue_job, retry_job, set_priority


@admin.register(Dataset)
class DatasetAdmin(MachineOwnedAdmin):
    """Uploaded data sets and what their validation found."""

    list_display = ("name", "owner", "task_type", "examples", "class_count", "size", "created_at")
    list_filter = ("task_type",)
    list_select_related = ("owner",)
    search_fields = ("name", "original_name", "sha256")
    date_hierarchy = "created_at"
    exclude = ("report",)

    @admin.display(description="classes")
    def class_count(self, dataset: Dataset) -> int:
        """Count the classes."""
        return len(dataset.classes)


@admin.register(TrainingJob)
class TrainingJobAdmin(MachineOwnedAdmin):
    """Jobs and how they ended. They are steered by actions; only the priority of one is edited."""

    list_display = (
        "name",
        "state_label",
        "task_type",
        "how",
        "owner",
        "phase",
        "priority",
        "failures",
        "took",
        "created_at",
    )
    list_filter = ("state", "queue", "task_type", "architecture", "strategy", "origin")
    list_select_related = ("owner",)
    search_fields = ("name", "token")
    date_hierarchy = "created_at"
    actions = ("cancel", "requeue", "retry")
    editable = ("priority",)
    fieldsets = (
        (None, {"fields": ("name", "state", "priority", "owner", "dataset", "registered_model", "error")}),
        (
            "What was asked for",
            {
                "fields": (
                    *("task_type", "architecture", "strategy", "data_split", "seed", "downloadable"),
                    *("optimizer", "learning_rate", "batch_size", "epochs"),
                    *("reduce_lr_on_plateau", "step_lr", "advanced", "origin", "token"),
                )
            },
        ),
        (
            "In the queue and at work",
            {
                "fields": (
                    *(
                        "queue",
                        "queued_at",
                        "announced_at",
                        "not_before",
                        "started_at",
                        "finished_at",
                        "spent",
                    ),
                    *("worker", "attempt", "failures", "lease_expires_at", "swept_attempt"),
                )
            },
        ),
        ("Progress", {"fields": ("progress", "log_tail")}),
    )

    def has_change_permission(self, request: HttpRequest, obj: TrainingJob | None = None) -> bool:
        return self.has_operate_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: TrainingJob | None = None) -> list[str]:
        return [field.name for field in TrainingJob._meta.fields if field.name not in self.editable]

    def save_model(self, request: HttpRequest, obj: TrainingJob, form: Any, change: bool) -> None:
        """Write what was edited and nothing else: meanwhile a worker may have moved the job."""
        set_priority(job=obj, priority=obj.priority)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Tell whether this person may cancel jobs: who may change them could."""
        return request.user.has_perm("training.change_trainingjob")

    @display(
        description="state",
        ordering="state",
        label={"succeeded": "success", "failed": "danger", "running": "info", "cancelling": "warning"},
    )
    def state_label(self, job: TrainingJob) -> str:
        """Colour the state."""
        return job.state

    @admin.display(description="strategy", ordering="strategy")
    def how(self, job: TrainingJob) -> str:
        """Name the strategy in one word."""
        return job.strategy

    @admin.display(description="phase")
    def phase(self, job: TrainingJob) -> str:
        """Say what the job is doing, and in which epoch."""
        words = str(job.progress.get("phase", ""))
        metrics = job.progress.get("metrics") or {}
        if words == "train" and "epoch" in metrics:
            return f"{words} {metrics['epoch']}/{metrics.get('epochs', '?')}"
        return words

    @admin.display(description="seconds")
    def took(self, job: TrainingJob) -> float:
        """Say how long the job ran."""
        return seconds(job.running_for)

    @action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        """End the chosen jobs."""
        self._each(request, queryset, lambda job: cancel_job(job=job), "Cancelled.")

    @action(description="Put back into the queue", permissions=["operate"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        """Take running jobs from their workers, and announce queued ones again."""
        self._each(request, queryset, lambda job: requeue_job(job=job), "Put back into the queue.")

    @action(description="Try again, as new jobs", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        """Submit jobs that failed or were cancelled once more."""
        self._each(request, queryset, lambda job: retry_job(job=job, owner=job.owner), "Tried again.")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[TrainingJob],
        act: Callable[[TrainingJob], Any],
        history: str,
    ) -> None:
        """Do something with each job, say what could not be done, and keep the rest in the history."""
        done = 0
        for job in queryset.select_related("owner", "dataset"):
            try:
                act(job)
            except TrainyardError as error:
                self.message_user(request, str(error), messages.WARNING)
            else:
                done += 1
                self.log_change(request, job, history)
        if done:
            self.message_user(request, f"{done} job{'' if done == 1 else 's'}: {history}")


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(MachineOwnedAdmin):
    """Worker processes and when they were last heard of."""

    list_display = ("name", "alive", "ready", "queues", "slots", "started_at", "seen_at")

    @admin.display(boolean=True)
    def alive(self, worker: WorkerHeartbeat) -> bool:
        """Tell whether the worker was heard of lately."""
        return worker.is_alive
