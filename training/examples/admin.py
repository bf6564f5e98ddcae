"""Admin pages of examples, revisions and edits: to look at; people mend them on the pages of their project."""

from django.contrib import admin

from core.admin.base import FileColumns, MachineOwnedAdmin, link_to, moment_column

from .models import Edit, Example, Revision


class _OfProject(MachineOwnedAdmin):
    """Rows of a project, reached from it and linked to it."""

    linked_by: tuple[str, ...] = ("project",)
    list_select_related: tuple[str, ...] = ("project",)

    @admin.display(description="project")
    def project_link(self, row: Example | Revision | Edit) -> str:
        """Link to the project."""
        return link_to(row.project)


@admin.register(Example)
class ExampleAdmin(_OfProject):
    """What projects learn from, as it is now."""

    list_display = ("place", "project_link", "label", "split", "source", "excluded", "confirmed", "version")
    list_filter = ("split", "source", "excluded")
    list_select_related = ("project", "shard")
    search_whole = ("sha256",)
    search_help_text = "Whole SHA-256"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("project_link", "place", "text", "checksum", "upload")}),
        ("What it is", {"fields": ("label", "split", "source", "group", "excluded", "confirmed")}),
        ("Its changes", {"fields": ("version", "edited_in")}),
        ("What the newest model thinks", {"fields": ("given", "suggested", "likely", "doubt")}),
    )
    readonly_fields = ("project_link", "checksum", "upload")
    deferred = ("searched", "shard__report")
    checksum = FileColumns.checksum

    @admin.display(description="upload")
    def upload(self, example: Example) -> str:
        """Link to the data set that it lies in."""
        return link_to(example.shard)

    def describe(self, row: Example) -> str:
        """Tell examples of the same class apart."""
        return row.place


@admin.register(Revision)
class RevisionAdmin(FileColumns, _OfProject):
    """What trainings have learnt from."""

    list_display = ("named", "project_link", "examples", "bytes", "author", "summary", "created")
    list_select_related = ("project", "author")
    linked_by = ("project", "author")
    ordering = ("-id",)
    fields = (
        *("project_link", "number", "summary", "author", "created", "examples", "counts", "parent"),
        *("bytes", "checksum", "where"),
    )
    readonly_fields = ("project_link", "created", "bytes", "checksum", "where")

    @admin.display(description="revision")
    def named(self, revision: Revision) -> str:
        """Write its number."""
        return f"revision {revision.number}"


@admin.register(Edit)
class EditAdmin(_OfProject):
    """Who changed which examples, when and how."""

    list_display = ("summary", "project_link", "author", "kind", "examples", "is_undone", "made")
    list_filter = ("kind",)
    list_select_related = ("project", "author")
    linked_by = ("project", "author")
    ordering = ("-id",)
    fields = (
        "project_link",
        "number",
        "summary",
        "kind",
        "author",
        "made",
        "examples",
        "undone_by",
        "revision",
    )
    readonly_fields = ("project_link", "made")
    deferred = ("changes",)
    made = moment_column("created_at", "when")

    @admin.display(description="taken back", boolean=True)
    def is_undone(self, edit: Edit) -> bool:
        """Tell whether it was taken back."""
        return edit.undone_by_id is not None
