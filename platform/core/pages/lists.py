"""The lists of the pages: a person's own rows or, for operators who ask for them, everybody's."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from ..admin.paginator import BoundedPaginator
from .search import ANYWHERE, BEGINNING, ListSearch


def list_context(
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    page_size: int,
    search: type[ListSearch] | None = None,
    for_operators: bool = True,
) -> dict[str, object]:
    """Return the context of a list's template: `page`, `everyone` and, with a search, `search`.

    `rows` have a column `owner`. An operator sees those of all users with `?whose=everyone`, unless
    `for_operators` is False.
    """
    asked = for_operators and request.GET.get("whose") == "everyone"
    everyone = asked and bool(getattr(request.user, "is_operator", False))
    if not everyone:
        rows = rows.filter(owner_id=request.user.pk)
    context: dict[str, object] = {"everyone": everyone}
    if search is not None:
        lookup = BEGINNING if everyone else ANYWHERE
        found = context["search"] = search(request.GET, rows, lookup=lookup)
        rows = found.qs
    context["page"] = BoundedPaginator(rows, page_size).get_page(request.GET.get("page"))
    return context
