"""Admin pages of data sets, jobs and workers. What the machine owns is read-only."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display

from core.admin import MachineOwnedAdmin
from core.exceptions import TrainyardError

from .models import Dataset, TrainingJob, WorkerHeartbeat
from .selectors import seconds
from .services import announce, cancel_job


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
    """Jobs and how they ended; they are cancelled here, never edited."""

    list_display = ("name", "state_label", "task_type", "owner", "phase", "attempt", "took", "created_at")
    list_filter = ("state", "task_type", "architecture", "strategy")
    list_select_related = ("owner",)
    search_fields = ("name", "token")
    date_hierarchy = "created_at"
    actions = ("cancel", "send_again")

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

    @admin.display(description="phase")
    def phase(self, job: TrainingJob) -> str:
        """Say what the job is doing."""
        return str(job.progress.get("phase", ""))

    @admin.display(description="seconds")
    def took(self, job: TrainingJob) -> float:
        """Say how long the job ran."""
        return seconds(job.running_for)

    @action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        """End the chosen jobs."""
        for job in queryset:
            try:
                cancel_job(job=job)
            except TrainyardError as error:
                self.message_user(request, str(error), messages.WARNING)
            else:
                self.log_change(request, job, "Cancelled.")

    @action(description="Send to the workers again", permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        """Announce the chosen queued jobs once more."""
        sent = sum(
            announce(job.pk, queue=job.queue) for job in queryset.filter(state=TrainingJob.State.QUEUED)
        )
        self.message_user(request, f"{sent} queued jobs were announced again.")


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(MachineOwnedAdmin):
    """Worker processes and when they were last heard of."""

    list_display = ("name", "alive", "ready", "queues", "started_at", "seen_at")

    @admin.display(boolean=True)
    def alive(self, worker: WorkerHeartbeat) -> bool:
        """Tell whether the worker was heard of lately."""
        return worker.is_alive
