"""Admin page of evaluations: to look at; people begin and end them on the pages of their project."""

from types import MappingProxyType

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from core.admin.base import MachineOwnedAdmin, link_to

from .models import Evaluation


@admin.register(Evaluation)
class EvaluationAdmin(MachineOwnedAdmin):
    """Versions that were measured, or are being measured, and on what."""

    list_display = ("measured", "state_label", "project_link", "basis", "accuracy", "author", "created")
    list_filter = ("state", "basis")
    list_select_related = ("model", "project", "author", "file")
    linked_by = ("project", "author")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("measured", "state_label", "project_link", "model_link", "author", "message")}),
        ("On what", {"fields": ("basis", "file", "edit", "progress", "accuracy")}),
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
    readonly_fields = (
        *("measured", "state_label", "project_link", "model_link", "progress", "accuracy", "created"),
    )
    deferred = (
        "figures",
        "model__metrics",
        "model__accuracy_plot",
        "model__classes",
        "file__columns",
        "file__classes",
    )
    state_kinds = MappingProxyType(
        {"succeeded": "success", "failed": "danger", "cancelling": "warning", "running": "info"}
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        """Return the rows with the accuracy alone of their figures."""
        rows: QuerySet[Evaluation] = super().get_queryset(request).annotate(share=F("figures__accuracy"))
        return rows

    @admin.display(description="evaluation")
    def measured(self, evaluation: Evaluation) -> str:
        """Write which version was measured."""
        return f"version {evaluation.model.version}"

    @admin.display(description="project")
    def project_link(self, evaluation: Evaluation) -> str:
        """Link to the project."""
        return link_to(evaluation.project)

    @admin.display(description="model")
    def model_link(self, evaluation: Evaluation) -> str:
        """Link to the version."""
        return link_to(evaluation.model)

    @admin.display(description="accuracy")
    def accuracy(self, evaluation: Evaluation) -> str:
        """Write the accuracy once there is one."""
        share: float | None = evaluation.share  # type: ignore[attr-defined]
        return "" if share is None else f"{100 * share:.1f} %"

    @admin.display(description="answered")
    def progress(self, evaluation: Evaluation) -> str:
        """Write how far it is."""
        return f"{evaluation.done:,} of {evaluation.total:,}"
