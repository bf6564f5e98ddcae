"""Admin pages of the mirror: everything here is written by the machine."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.decorators import action

from core.admin import MachineOwnedAdmin

from .models import Document, OutboxEntry
from .publish import Outcome, publish


@admin.register(Document)
class DocumentAdmin(MachineOwnedAdmin):
    """The four documents: last published, what is waiting, what went wrong."""

    list_display = ("key", "revision", "published_at", "waiting", "last_error")
    fields = ("key", "revision", "published_at", "etag", "last_error", "failed_at", "writer", "writer_until")
    actions = ("publish_now",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        counts = (
            OutboxEntry.objects.filter(document=OuterRef("key"))
            .order_by()
            .values("document")
            .annotate(number=Count("id"))
            .values("number")
        )
        return super().get_queryset(request).annotate(waiting_changes=Coalesce(Subquery(counts), 0))

    @admin.display(description="waiting changes", ordering="waiting_changes")
    def waiting(self, document: Any) -> int:
        """Count the changes that are committed and not yet published."""
        return int(document.waiting_changes)

    @action(description="Publish now", permissions=["view"])
    def publish_now(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        """Write the chosen documents at once."""
        for document in queryset:
            if publish(document.key, force=True) is Outcome.FAILED:
                document.refresh_from_db()
                self.message_user(request, f"{document.key}: {document.last_error}", messages.ERROR)
            else:
                self.message_user(request, f"{document.key} is up to date.", messages.SUCCESS)


@admin.register(OutboxEntry)
class OutboxEntryAdmin(MachineOwnedAdmin):
    """Changes that wait for the bucket."""

    list_display = ("document", "entry", "created_at")
    list_filter = ("document",)
    search_fields = ("entry",)
