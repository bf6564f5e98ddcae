"""Which parameters of an address may narrow a list of the admin: those of its filters, and no other.

Django lets everybody who may see a list filter it by any column and by any lookup. That tells what a page hides
(a token, a password's hash) by whether a row is found, and lets one request run a regular expression over a table.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

LONGEST = 200  # characters of a value, and of a search
MOST_WORDS = 10  # of a search: each is one more condition on every column
KEY = re.compile(r"\d{1,18}", re.ASCII)
DAY = re.compile(r"[12]\d{3}-\d\d-\d\d(T00:00:00Z)?", re.ASCII)  # as templatetags/calendar.py links to it
Fits = Callable[[str], object]


def parameters_of(model_admin: ModelAdmin, request: HttpRequest) -> dict[str, Fits]:
    """Return the parameters that a list accepts, each with a function that checks its value."""
    found: dict[str, Fits] = {}
    for one in model_admin.get_list_filter(request):
        found |= dict.fromkeys(_of_filter(model_admin.model, one), str.isprintable)
    if model_admin.date_hierarchy:
        date = model_admin.date_hierarchy
        found |= {f"{date}__gte": DAY.fullmatch, f"{date}__lt": DAY.fullmatch}
    return found


def _of_filter(model: type[models.Model], one: Any) -> Iterator[str]:
    """Yield the parameters of an entry of `list_filter`."""
    if isinstance(one, type) and issubclass(one, admin.SimpleListFilter):
        yield str(one.parameter_name)
        return
    path, kind = one if isinstance(one, tuple | list) else (one, admin.FieldListFilter)
    if issubclass(kind, admin.EmptyFieldListFilter):
        yield f"{path}__isempty"
        return
    field: Any = get_fields_from_path(model, path)[-1]
    yield f"{path}__isnull"
    if field.is_relation:
        yield f"{path}__{field.target_field.name}__exact"
    else:
        yield f"{path}__exact"


class NamedLookups(ModelAdmin):
    """A list that is narrowed by its filters, its dates and `linked_by`, and searched by a bounded text.

    `linked_by` names foreign keys by which other pages lead to the list, as `?owner__id__exact=1`.
    """

    linked_by: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Tell whether a parameter may narrow the list; one that may not is answered with 400."""
        if len(value) > LONGEST:
            return False
        allowed = parameters_of(self, request)
        allowed |= {f"{name}__id__exact": KEY.fullmatch for name in self.linked_by}
        fits = allowed.get(lookup)
        return fits is not None and bool(fits(value))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return a row or None; an empty `?_to_field=` names no column, which Django would look for."""
        return super().get_object(request, object_id, from_field or None)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[models.Model], search_term: str
    ) -> tuple[QuerySet[models.Model], bool]:
        """Search for a bounded number of words and characters."""
        words = search_term[:LONGEST].split(maxsplit=MOST_WORDS)[:MOST_WORDS]
        found: tuple[QuerySet[models.Model], bool] = super().get_search_results(
            request, queryset, " ".join(words)
        )
        return found
