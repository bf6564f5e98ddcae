"""Admin pages of the documents, all read-only but for their actions."""

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import display

from core.admin.base import MachineOwnedAdmin, breakable, moment_column
from core.admin.confirmation import Confirmation, FormValues, confirmed
from core.exceptions import BucketError, InvalidRequest

from . import keys
from .drift import check_document, repair_document
from .models import BucketCheck, Document, OutboxEntry, OverruledChange, PublishedEntry
from .publish import Outcome, publish

LONG_TEXT = re.compile(r'("[^"\\]{200})[^"\\]+(?=")')  # within quotation marks
SHOWN = 20  # entries and changes on a document's page; the lists have all of them


@admin.register(Document)
class DocumentAdmin(MachineOwnedAdmin):
    """The four documents: last published, what is waiting, what went wrong, and the difference to the bucket."""

    list_display = ("key", "state_label", "revision", "published", "waiting", "last_error")
    fields = (
        "key",
        "revision",
        "published_at",
        "version",
        "last_error",
        "failed_at",
        "writer",
        "writer_until",
    )
    readonly_fields = ("version",)
    actions = ("publish_now",)
    actions_detail = ("publish_now", "repair")
    change_form_outer_before_template = "admin/documents/state.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        counts = (
            OutboxEntry.objects.filter(document=OuterRef("key"))
            .order_by()
            .values("document")
            .annotate(number=Count("id"))
            .values("number")
        )
        return super().get_queryset(request).annotate(waiting_changes=Coalesce(Subquery(counts), 0))

    @admin.display(description="ETag")
    def version(self, document: Any) -> str:
        """Return the ETag, which may break over lines."""
        return breakable(document.etag or "-")

    published = moment_column("published_at", "published")

    @admin.display(description="waiting changes", ordering="waiting_changes")
    def waiting(self, document: Any) -> int:
        """Count the changes that are committed and not yet published."""
        return int(document.waiting_changes)

    @display(
        description="state",
        label={"in sync": "success", "waiting": "info", "failed": "danger", "rejected": "warning"},
    )
    def state_label(self, document: Any) -> str:
        """Return the document's state as the database has it."""
        if document.last_error:
            return "failed"
        if document.rejected_etag:
            return "rejected"
        return "waiting" if document.waiting_changes else "in sync"

    @confirmed(
        Confirmation(
            title="Publish and import now",
            does="What changed here is written into the bucket, and what others wrote there is imported, now "
            "instead of within half a minute.",
            undo="Nothing is lost: both sides are merged.",
            done="Published.",
        ),
        permission="operate",
        icon="publish",
    )
    def publish_now(self, request: HttpRequest, document: Document, values: FormValues) -> None:
        """Publish and import a document now."""
        require_clean(document.key, publish(document.key, force=True))

    @confirmed(
        Confirmation(
            title="Rewrite from the database",
            does="The document becomes what the database says. Entries and keys of others are kept; what others did "
            "to this platform's own entries is lost.",
            undo="",
            done="Rewritten from the database.",
        ),
        permission="operate",
        icon="build",
    )
    def repair(self, request: HttpRequest, document: Document, values: FormValues) -> None:
        """Rewrite a document from the database."""
        require_clean(document.key, repair_document(document.key))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show the differences between the document in the bucket and the database."""
        key = unquote(object_id or "")
        context = {
            **(extra_context or {}),
            **_state(key),
            "shows_tokens": self.has_operate_permission(request),
        }
        return super().changeform_view(request, object_id, form_url, context)


def require_clean(key: str, outcome: Outcome) -> None:
    """Raise `InvalidRequest` or `BucketError` unless the document was published."""
    if outcome is Outcome.BUSY:
        raise InvalidRequest(f"{key} is being written at this moment.")
    if outcome is not Outcome.CLEAN:
        raise BucketError(f"{key}: {Document.objects.get(key=key).last_error}")


def _state(key: str) -> dict[str, object]:
    """Return what a document's page shows beside its row."""
    document = Document.objects.filter(key=key).first()
    if document is None:
        return {}
    try:
        problems, unreachable = check_document(key).problems, ""
    except BucketError as error:
        problems, unreachable = (), str(error)
    entries = PublishedEntry.objects.filter(document=key)
    return {
        "document": document,
        "problems": problems,
        "unreachable": unreachable,
        "waiting": OutboxEntry.objects.filter(document=key).count(),
        "entries": entries.count(),
        "strange": entries.exclude(problem="")[:SHOWN],
        "overruled": OverruledChange.objects.filter(document=key)[:SHOWN],
        "bucket": BucketCheck.objects.first(),
    }


@admin.register(OutboxEntry)
class OutboxEntryAdmin(MachineOwnedAdmin):
    """Changes that wait for the bucket."""

    list_display = ("document", "entry", "created_at")
    date_hierarchy = "created_at"


@admin.register(PublishedEntry)
class PublishedEntryAdmin(MachineOwnedAdmin):
    """The entries of inference.json, with the reason where an entry is no model here."""

    list_display = ("name", "document", "problem")
    list_filter = (("problem", admin.EmptyFieldListFilter),)
    search_whole = ("name",)
    search_help_text = "Whole token"
    fields = ("document", "name", "problem", "shown")

    deferred = ("text",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PublishedEntry]:
        """Return the entries of inference.json, the only document that has some; naming it lets the index serve."""
        entries: QuerySet[PublishedEntry] = super().get_queryset(request)
        return entries.filter(document=keys.INFERENCE)

    @admin.display(description="entry")
    def shown(self, entry: PublishedEntry) -> str:
        """Show the text that stands in the document; pictures in it are cut short."""
        return format_html('<pre class="admin-log">{}</pre>', LONG_TEXT.sub(r"\1…", entry.text))


@admin.register(OverruledChange)
class OverruledChangeAdmin(MachineOwnedAdmin):
    """Overruled changes."""

    list_display = ("created_at", "document", "entry", "field", "winner")
    list_filter = ("winner",)
    date_hierarchy = "created_at"
