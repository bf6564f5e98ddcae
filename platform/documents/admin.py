"""Admin pages of the mirror: everything here is written by the machine."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.decorators import action, display

from core.admin import MachineOwnedAdmin
from core.exceptions import BucketError

from .drift import check_document, repair_document
from .models import BucketCheck, Document, OutboxEntry, OverruledChange, PublishedEntry
from .publish import Outcome, publish

SHOWN = 20  # entries and changes on a document's page; the lists have all of them


@admin.register(Document)
class DocumentAdmin(MachineOwnedAdmin):
    """The four documents: last published, what is waiting, what went wrong, and the difference to the bucket."""

    list_display = ("key", "state_label", "revision", "published_at", "waiting", "last_error")
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

    def has_publish_permission(self, request: HttpRequest) -> bool:
        """Who may change documents may let the machine write them."""
        return bool(request.user.has_perm("documents.change_document"))

    @admin.display(description="ETag")
    def version(self, document: Any) -> str:
        """Let a long ETag break on a narrow screen."""
        return format_html('<span class="break-all">{}</span>', document.etag or "-")

    @admin.display(description="waiting changes", ordering="waiting_changes")
    def waiting(self, document: Any) -> int:
        """Count the changes that are committed and not yet published."""
        return int(document.waiting_changes)

    @display(
        description="state",
        label={"in step": "success", "waiting": "info", "failed": "danger", "rejected": "warning"},
    )
    def state_label(self, document: Any) -> str:
        """Say in a word how the document is, as far as the database knows."""
        if document.last_error:
            return "failed"
        if document.rejected_etag:
            return "rejected"
        return "waiting" if document.waiting_changes else "in step"

    @action(description="Publish now, and take in what others have written", permissions=["publish"])
    def publish_now(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        """Bring the chosen documents into step at once."""
        for document in queryset:
            self._report(request, document.key, publish(document.key, force=True))

    def get_urls(self) -> list[URLPattern]:
        """Add the two buttons of a document's page."""
        buttons = [
            path(
                "<path:object_id>/publish/",
                self.admin_site.admin_view(self._publish),
                name="document_publish",
            ),
            path(
                "<path:object_id>/repair/", self.admin_site.admin_view(self._repair), name="document_repair"
            ),
        ]
        return [*buttons, *super().get_urls()]

    def _publish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._press(request, object_id, lambda key: publish(key, force=True))

    def _repair(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._press(request, object_id, repair_document)

    def _press(self, request: HttpRequest, object_id: str, work: Any) -> HttpResponse:
        """Carry out a button of a document's page and show the page again."""
        if not self.has_publish_permission(request):
            raise PermissionDenied

        def post(request: HttpRequest) -> HttpResponse:
            key = unquote(object_id)
            try:
                self._report(request, key, work(key))
            except BucketError as error:
                self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:documents_document_change", args=[quote(key)]))

        return require_POST(post)(request)

    def _report(self, request: HttpRequest, key: str, outcome: Outcome) -> None:
        if outcome is Outcome.CLEAN:
            self.message_user(request, f"{key} is up to date.", messages.SUCCESS)
        elif outcome is Outcome.BUSY:
            self.message_user(request, f"{key} is being written at this moment.", messages.INFO)
        else:
            self.message_user(request, f"{key}: {Document.objects.get(key=key).last_error}", messages.ERROR)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show how the document differs from the bucket now."""
        key = unquote(object_id or "")
        context = {
            **(extra_context or {}),
            **_state(key),
            "may_publish": self.has_publish_permission(request),
        }
        return super().changeform_view(request, object_id, form_url, context)


def _state(key: str) -> dict[str, Any]:
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
    list_filter = ("document",)
    search_fields = ("entry",)


@admin.register(PublishedEntry)
class PublishedEntryAdmin(MachineOwnedAdmin):
    """What stands in a document of entries, with the reason where it is none of our models."""

    list_display = ("name", "document", "problem")
    list_filter = (("problem", admin.EmptyFieldListFilter),)
    search_fields = ("name",)
    fields = ("document", "name", "problem", "text")


@admin.register(OverruledChange)
class OverruledChangeAdmin(MachineOwnedAdmin):
    """Changes that lost against the other side's."""

    list_display = ("created_at", "document", "entry", "field", "winner")
    list_filter = ("document", "winner")
    search_fields = ("entry",)
    date_hierarchy = "created_at"
