"""Admin pages of batches and of how models are used."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display

from core.admin import MachineOwnedAdmin
from core.exceptions import InvalidRequest

from .batches.services import cancel_batch
from .models import Batch, ModelUsage


@admin.register(Batch)
class BatchAdmin(MachineOwnedAdmin):
    """Batches under way and done. Their identifiers are secrets and are not shown."""

    list_display = ("source_name", "state_label", "model", "owner", "progress", "message", "created_at")
    list_filter = ("state", "model__task_type")
    list_select_related = ("model", "owner")
    search_fields = ("source_name", "model__name")
    date_hierarchy = "created_at"
    exclude = ("identifier", "sha256", "parts", "result_key")
    actions = ("cancel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        """Leave out what no list shows and can be long."""
        long = ("parts", "model__metrics", "model__accuracy_plot", "model__classes")
        batches: QuerySet[Batch] = super().get_queryset(request)
        return batches.defer(*long)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whoever may change batches may end them; nobody edits one."""
        return bool(request.user.has_perm("inference.change_batch"))

    @display(
        description="state",
        ordering="state",
        label={"succeeded": "success", "failed": "danger", "cancelled": "warning", "running": "info"},
    )
    def state_label(self, batch: Batch) -> str:
        """Colour the state."""
        return str(batch.state)

    @admin.display(description="done")
    def progress(self, batch: Batch) -> str:
        """Write how much of it is done."""
        return f"{batch.done:,} of {batch.total:,}"

    @action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        """End the chosen batches."""
        cancelled = 0
        for batch in queryset:
            try:
                cancel_batch(batch=batch)
            except InvalidRequest:
                continue
            self.log_change(request, batch, "Cancelled.")
            cancelled += 1
        self.message_user(request, f"{cancelled} batches cancelled.", messages.SUCCESS)


@admin.register(ModelUsage)
class ModelUsageAdmin(MachineOwnedAdmin):
    """Days of models, the busiest first."""

    list_display = ("model", "day", "calls", "inputs", "mean", "slowest_rounded", "last_used_at")
    list_filter = ("model__task_type",)
    list_select_related = ("model",)
    search_fields = ("model__name", "model__token")
    date_hierarchy = "day"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelUsage]:
        """Leave out what no list shows and can be long."""
        usage: QuerySet[Any] = super().get_queryset(request)
        return usage.defer("model__metrics", "model__accuracy_plot", "model__classes", "labels")

    @admin.display(description="mean")
    def mean(self, usage: ModelUsage) -> str:
        """Write the mean time of a call."""
        return f"{usage.milliseconds / usage.calls:.0f} ms" if usage.calls else "–"

    @admin.display(description="slowest", ordering="slowest")
    def slowest_rounded(self, usage: ModelUsage) -> str:
        """Write the slowest call's time."""
        return f"{usage.slowest:.0f} ms"
