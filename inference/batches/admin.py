"""Admin pages of batches."""

from types import MappingProxyType

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from core.admin.base import FileColumns, MachineOwnedAdmin
from core.admin.confirmation import Confirmation, FormValues, confirmed

from .models import Batch
from .services import cancel_batch


@admin.register(Batch)
class BatchAdmin(FileColumns, MachineOwnedAdmin):
    """Batches under way and done. Their identifiers are secrets and are not shown."""

    list_display = ("source_name", "state_label", "model", "owner", "progress", "message", "created")
    list_filter = ("state", "model__task_type")
    list_select_related = ("model", "owner")
    search_start = "source_name"
    linked_by = ("owner",)
    searches_owner = True
    search_help_text = "Beginning of the file's name, or owner"
    date_hierarchy = "created_at"
    fieldsets = (
        (
            None,
            {"fields": ("source_name", "state_label", "progress", "unreadable", "message", "model", "owner")},
        ),
        ("The file", {"fields": ("bytes", "column", "result_bytes", "expires_at")}),
        (
            "Queue and worker",
            {
                "fields": (
                    *("created", "queued_at", "announced_at", "started_at", "finished_at"),
                    *("worker", "attempt", "failures", "lease_expires_at"),
                )
            },
        ),
    )
    actions = ("cancel",)
    actions_detail = ("cancel",)
    deferred = ("parts", "model__metrics", "model__accuracy_plot", "model__classes")
    state_kinds = MappingProxyType(
        {"done": "success", "failed": "danger", "being cancelled": "warning", "running": "info"}
    )

    def describe(self, row: Batch) -> str:
        """Tell batches of the same file apart."""
        return f"{row.get_state_display()}, {self.progress(row)}, with {row.model}"

    @admin.display(description="result")
    def result_bytes(self, batch: Batch) -> str:
        """Write the result's size for people."""
        return filesizeformat(batch.result_size) if batch.result_size is not None else ""

    @admin.display(description="done")
    def progress(self, batch: Batch) -> str:
        """Write how much of it is done."""
        return f"{batch.done:,} of {batch.total:,}"

    @confirmed(
        Confirmation(
            title="Cancel",
            does="Batches that wait end at once, running ones within seconds. Their results are lost.",
            undo="",
            done="Cancelled.",
            fits=lambda batch: not batch.is_final,
            needs="batches that have not ended",
        ),
        permission="operate",
        icon="cancel",
    )
    def cancel(self, request: HttpRequest, batch: Batch, values: FormValues) -> None:
        """End a batch."""
        cancel_batch(batch=batch)
