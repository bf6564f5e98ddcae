"""Admin page of workers, read-only."""

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from core.admin.base import MachineOwnedAdmin, label
from core.templatetags.durations import short

from ..jobs.models import TrainingJob, WorkerHeartbeat

HEALTH = {"ready": "success", "warming up": "info", "not responding": "danger"}


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(MachineOwnedAdmin):
    """Worker processes: last sign of life, queues, device, running job."""

    list_display = ("name", "state_label", "queues_served", "device", "slots", "runs", "up_for", "heard_of")
    list_before_template = "admin/training/workers.html"
    search_start = "name"
    search_help_text = "Beginning of the name"
    fields = (*list_display, "started_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkerHeartbeat]:
        """Annotate each worker with the number of its jobs and the one that has run longest."""
        held = TrainingJob.objects.running().filter(worker=OuterRef("name"))
        number = held.order_by().values("worker").annotate(number=Count("pk")).values("number")
        workers: QuerySet[WorkerHeartbeat] = super().get_queryset(request)
        return workers.annotate(
            held=Coalesce(Subquery(number), 0),
            job_id=Subquery(held.values("pk")[:1]),
            job_name=Subquery(held.values("name")[:1]),
        )

    @admin.display(description="state")
    def state_label(self, worker: WorkerHeartbeat) -> str:
        """Return whether the worker responds, and whether its backbones are prepared."""
        state = "not responding" if not worker.is_alive else "ready" if worker.ready else "warming up"
        return label(state, HEALTH)

    @admin.display(description="queues")
    def queues_served(self, worker: WorkerHeartbeat) -> str:
        """Return the names of the queues."""
        return ", ".join(worker.queues)

    @admin.display(description="device")
    def device(self, worker: WorkerHeartbeat) -> str:
        """Return the device: workers that serve the queue `gpu` have a GPU."""
        return "GPU" if "gpu" in worker.queues else "processor"

    @admin.display(description="runs")
    def runs(self, worker: Any) -> str:
        """Return a link to the job that it runs; of several, to the first."""
        if not worker.held:
            return "nothing"
        address = reverse("admin:training_trainingjob_change", args=[worker.job_id])
        more = f" and {worker.held - 1:,} more" if worker.held > 1 else ""
        return format_html('<a href="{}" class="admin-link">{}</a>{}', address, worker.job_name, more)

    @admin.display(description="up for", ordering="started_at")
    def up_for(self, worker: WorkerHeartbeat) -> str:
        """Return how long the process has been up."""
        return short(worker.seen_at - worker.started_at)

    @admin.display(description="last seen", ordering="seen_at")
    def heard_of(self, worker: WorkerHeartbeat) -> str:
        """Return how long ago the worker last renewed its row."""
        return naturaltime(worker.seen_at)
