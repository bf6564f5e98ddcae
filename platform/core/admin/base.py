"""Base classes of the admin pages: lists whose cost does not grow with the table, and read-only rows."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from unfold.views import ChangeList

from ..exceptions import InvalidRequest
from ..models import PeriodicTask
from .lookups import LONGEST, NamedLookups
from .paginator import BoundedPaginator


def label(text: str, kinds: Mapping[str, str]) -> str:
    """Return a word in the colour of its kind: success, info, warning or danger; any other stays grey."""
    return _label(text, kinds.get(text, ""))


@lru_cache(maxsize=256)
def _label(text: str, kind: str) -> str:
    """Render a word once: a page of a list has it dozens of times."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "variant": kind})


def link_to(row: Model | None, words: str | None = None) -> str:
    """Return a link to the admin's page of a row, a dash for none."""
    if row is None:
        return "–"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}" class="admin-link">{}</a>', address, words or str(row))


def breakable(text: str) -> str:
    """Return a long word (a key, a checksum, a token) that may break on a narrow screen."""
    return format_html('<span class="admin-break">{}</span>', text)


def when(moment: datetime | None) -> str:
    """Return a moment as `2026-01-31 12:00`; "" for None."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def moment_column(field: str, title: str, *, never: str = "") -> Callable[[Any, Any], str]:
    """Return a column of a list for a field with a moment; `never` stands for None."""

    @admin.display(description=title, ordering=field)
    def column(model_admin: object, row: object) -> str:
        return when(getattr(row, field)) or never

    return column


class SwiftChangeList(ChangeList):
    """A change list that caches the addresses of its column headers: unfold builds all of them for each row."""

    def get_results(self, request: HttpRequest) -> None:
        """Hide "Show all" unless a filter or a search narrows the list; the count stands below the list."""
        super().get_results(request)
        self.search_help_text = self.model_admin.describe_search(request)
        paginator: Any = self.paginator
        if paginator.is_bounded or not (self.query or self.get_filters_params()):
            self.full_result_count = self.result_count

    def get_query_string(
        self, new_params: dict[str, object] | None = None, remove: list[str] | None = None
    ) -> str:
        """Return the list's address with some parameters changed."""
        key = repr((new_params, remove))
        known: dict[str, str] = self.__dict__.setdefault("_addresses", {})
        if key not in known:
            known[key] = str(super().get_query_string(new_params, remove))
        return known[key]


class FileColumns:
    """Columns about a file in the bucket, of rows with `size` (bytes), `sha256` and `key`."""

    @admin.display(description="size", ordering="size")
    def bytes(self, row: Any) -> str:
        """Return the size with its unit."""
        return filesizeformat(row.size)

    @admin.display(description="SHA-256")
    def checksum(self, row: Any) -> str:
        """Return the checksum, which may break over lines."""
        return breakable(row.sha256)

    @admin.display(description="key in the bucket")
    def where(self, row: Any) -> str:
        """Return the key, which may break over lines."""
        return breakable(row.key)


class FixedRows:
    """Admin of rows that the platform creates and deletes: adding and deleting by hand are switched off."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PlatformAdmin(NamedLookups):
    """A list that takes the same few queries for three rows and for a million.

    `search_start` names the column whose beginning is looked for and `search_whole` those that have to
    be given in full; both need an index. `search_secret` is for those alone who see it whole on a row's page.
    `deferred` names columns that no list shows and that can be long; `state_kinds` gives a state's words the kind
    that `label` colours.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 30
    list_max_show_all = 0
    empty_value_display = "–"
    search_start: str = ""
    search_whole: tuple[str, ...] = ()
    search_secret: str = ""
    searches_owner = False
    counts_rows = True  # whether an action says how many rows it is for
    deferred: tuple[str, ...] = ()
    state_kinds: Mapping[str, str] = MappingProxyType({})

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        """Return the class that prepares a list."""
        return SwiftChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows without what is long and in no list."""
        return super().get_queryset(request).defer(*self.deferred)

    def has_operate_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this user may run actions: the right to change the rows, even if the form is read-only."""
        return self._may(request, "change")

    def has_remove_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this user may run actions that delete: the right to delete, even if no form offers it."""
        return self._may(request, "delete")

    def _may(self, request: HttpRequest, verb: str) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}"))

    @admin.display(description="state", ordering="state")
    def state_label(self, row: Any) -> str:
        """Return the state in its colour."""
        return label(row.get_state_display(), self.state_kinds)

    created = moment_column("created_at", "created")

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the columns that are searched; Django shows a search field if there are any."""
        return tuple(name for name in (self.search_start, *self._searched_whole(request)) if name)

    def sees_secrets(self, request: HttpRequest) -> bool:
        """Tell whether this person sees tokens whole: those who may change the rows do."""
        return self._may(request, "change")

    def describe_search(self, request: HttpRequest) -> str:
        """Return the help text of the search, without the secret column for those who may not search it."""
        if self.search_secret and not self.sees_secrets(request):
            return str(self.search_help_text).replace(f", whole {self.search_secret}", "")
        return str(self.search_help_text or "")

    def _searched_whole(self, request: HttpRequest) -> tuple[str, ...]:
        if not self.search_secret or not self.sees_secrets(request):
            return self.search_whole
        return (*self.search_whole, self.search_secret)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        """Return the rows whose name begins with the words, or whose token or owner's name they are."""
        words = search_term.strip()[:LONGEST]
        if not words:
            return queryset, False
        found = Q()
        if self.search_start:
            found |= Q(**{f"{self.search_start}__istartswith": words})
        for name in self._searched_whole(request):
            found |= Q(**{name: words})
        if self.searches_owner:
            owner = get_user_model().objects.filter(username=words).values_list("pk", flat=True).first()
            found |= Q(owner_id=owner) if owner is not None else Q()
        return queryset.filter(found), False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show an `InvalidRequest` of a service as a message on the form."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except InvalidRequest as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def describe(self, row: Any) -> str:
        """Return a few words that tell a row from others, for the confirmation page."""
        return ""

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Return the actions whose confirmation fits the row in its present state."""
        offered = super().get_actions_detail(request, object_id)
        row = self.get_object(request, unquote(str(object_id))) if offered else None
        return [one for one in offered if row is not None and self._fits(one, row)]

    @staticmethod
    def _fits(offered: Any, row: Model) -> bool:
        confirmation = getattr(offered.method, "confirmation", None)
        return confirmation is None or confirmation.fits(row)


class MachineOwnedAdmin(FixedRows, PlatformAdmin):
    """Admin of read-only rows: adding, changing and deleting by hand are switched off."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(MachineOwnedAdmin):
    """When each periodic task last began, succeeded and failed, and the error."""

    list_display = ("name", "state_label", "started", "succeeded", "failed", "error")
    fields = ("name", "state_label", "started_at", "succeeded_at", "failed_at", "unfinished", "error")
    readonly_fields = ("state_label",)

    @admin.display(description="state")
    def state_label(self, task: PeriodicTask) -> str:
        """Return how the last run ended: ok, running or failed."""
        state = "failed" if task.error else "running" if task.unfinished > 0 else "ok"
        return label(state, {"ok": "success", "running": "info", "failed": "danger"})

    started = moment_column("started_at", "began")
    succeeded = moment_column("succeeded_at", "ended well")
    failed = moment_column("failed_at", "failed")
