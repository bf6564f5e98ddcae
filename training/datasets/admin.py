"""Admin pages of data sets: what the machine owns is read-only."""

from types import MappingProxyType
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html

from core.admin.base import FileColumns, MachineOwnedAdmin, label
from core.admin.confirmation import ROWS_PER_ACTION, Confirmation, FormValues, confirmed

from ..datasets.deletion import delete_dataset
from ..datasets.models import Dataset


def _has_jobs(**which: object) -> Exists:
    """Return the condition that jobs were made of a data set, of those that are so."""
    return Exists(Dataset.objects.filter(pk=OuterRef("pk"), jobs__isnull=False, **which))


class UsedFilter(admin.SimpleListFilter):
    """Data sets that jobs were made of, and those that nobody uses.

    No index knows those that nobody uses: they are looked for once and not for each question of the list,
    and no more of them than can be deleted at a time.
    """

    title = "use"
    parameter_name = "used"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("yes", "used by jobs"), ("no", f"used by no job, the newest {ROWS_PER_ACTION:,}")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> QuerySet[Dataset]:
        """Narrow by whether there is a job."""
        used = _has_jobs()
        if self.value() == "yes":
            return queryset.filter(used)
        if self.value() == "no":
            unused = Dataset.objects.filter(~used).order_by("-created_at", "-pk")
            return queryset.filter(pk__in=list(unused.values_list("pk", flat=True)[:ROWS_PER_ACTION]))
        return queryset


@admin.register(Dataset)
class DatasetAdmin(FileColumns, MachineOwnedAdmin):
    """Uploaded data sets and what their validation found."""

    list_display = (
        *("name", "owner", "task_type", "state_label", "examples", "class_count", "bytes", "jobs", "created"),
    )
    list_filter = ("state", "task_type", UsedFilter)
    list_select_related = ("owner",)
    search_start = "name"
    search_whole = ("sha256",)
    linked_by = ("owner",)
    searches_owner = True
    search_help_text = "Beginning of the name, whole SHA-256, or owner"
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("name", "owner", "task_type", "state_label", "jobs_made", "created")}),
        ("Its validation", {"fields": ("reason", "checked", "checked_by")}),
        ("What is in it", {"fields": ("examples", "classes_listed", "columns", "corrections")}),
        ("The file", {"fields": ("original_name", "bytes", "checksum", "where")}),
    )
    actions = ("delete_unused",)
    actions_detail = ("delete_unused",)
    deferred = ("report",)
    state_kinds = MappingProxyType({"ready": "success", "unusable": "danger", "being checked": "info"})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        """Annotate each with whether jobs were made of it, and whether one of them has not ended."""
        datasets: QuerySet[Dataset] = super().get_queryset(request)
        return datasets.annotate(is_used=_has_jobs(), is_busy=_has_jobs(jobs__finished_at__isnull=True))

    def describe(self, row: Dataset) -> str:
        """Tell data sets of the same name apart."""
        return f"{row.examples:,} examples, {filesizeformat(row.size)}, from {row.created_at:%d %B %Y}"

    @admin.display(description="validation")
    def checked(self, dataset: Dataset) -> str:
        """Say how far a worker is, or was, with a large one."""
        validation = getattr(dataset, "validation", None)
        if validation is None:
            return "validated during the upload"
        of = f" of {validation.total:,}" if validation.total else ""
        waits = f" {validation.message}" if validation.message and not validation.is_final else ""
        return f"{validation.done:,}{of}, {validation.get_state_display()}.{waits}"

    @admin.display(description="by")
    def checked_by(self, dataset: Dataset) -> str:
        """Name the worker, and count the attempts."""
        validation = getattr(dataset, "validation", None)
        if validation is None:
            return "–"
        return f"{validation.worker or 'no worker yet'}, attempt {validation.attempt}"

    @admin.display(description="classes")
    def class_count(self, dataset: Dataset) -> int:
        """Count the classes."""
        return len(dataset.classes)

    @admin.display(description="classes")
    def classes_listed(self, dataset: Dataset) -> str:
        """Write the classes as a sentence."""
        return ", ".join(str(label) for label in dataset.classes)

    @admin.display(description="jobs")
    def jobs(self, dataset: Any) -> str:
        """Say whether jobs were made of it."""
        return "used" if dataset.is_used else label("unused", {"unused": "warning"})

    @admin.display(description="jobs")
    def jobs_made(self, dataset: Any) -> str:
        """Lead to its jobs."""
        if not dataset.is_used:
            return "none"
        address = reverse("admin:training_trainingjob_changelist")
        return format_html(
            '<a href="{}?dataset__id__exact={}" class="admin-link">show</a>', address, dataset.pk
        )

    @confirmed(
        Confirmation(
            title="Delete data sets",
            does="Their files in the bucket go, and their rows where no job was made of them.",
            undo="",
            done="Deleted.",
            fits=lambda dataset: not dataset.is_busy,
            needs="data sets whose jobs have ended",
            deletes=True,
        ),
        permission="remove",
        icon="delete",
    )
    def delete_unused(self, request: HttpRequest, dataset: Dataset, values: FormValues) -> None:
        """Delete a data set that no unfinished job uses."""
        delete_dataset(dataset=dataset)
