"""Admin page of the usage of models."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe

from core.admin.base import MachineOwnedAdmin, when

from .models import ModelUsage
from .statistics import BUCKETS

LABELS_LISTED = 50


@admin.register(ModelUsage)
class ModelUsageAdmin(MachineOwnedAdmin):
    """Usage by model and day, the most calls first."""

    list_display = ("model", "day", "calls", "inputs", "mean", "slowest_rounded", "last_used")
    fields = (*list_display, "times", "predicted")
    list_filter = ("model__task_type",)
    list_select_related = ("model",)
    search_start = "model__name"
    search_help_text = "Beginning of the model's name"
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

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, usage: ModelUsage) -> str:
        """Write when it was used last on that day."""
        return when(usage.last_used_at)

    @admin.display(description="calls by their time")
    def times(self, usage: ModelUsage) -> str:
        """List the times that calls took, each with how many took no longer."""
        bounds = [*(f"up to {bound:,} ms" for bound in BUCKETS), "longer"]
        return _lines((count, bound) for bound, count in zip(bounds, usage.latencies, strict=False) if count)

    @admin.display(description="predictions by their label")
    def predicted(self, usage: ModelUsage) -> str:
        """List the labels, the most frequent first."""
        return _lines((count, name) for name, count in Counter(usage.labels).most_common(LABELS_LISTED))


def _lines(counted: Iterable[tuple[int, str]]) -> str:
    return format_html_join(mark_safe("<br>"), "{} × {}", ((f"{count:,}", what) for count, what in counted))
