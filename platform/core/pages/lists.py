"""The context of list pages: a user's own rows or, for operators on request, those of all users."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from ..admin.paginator import BoundedPaginator
from .search import ANYWHERE, BEGINNING, ListSearch


def list_context(
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    noun: str,
    page_size: int,
    search: type[ListSearch] | None = None,
    for_operators: bool = True,
) -> dict[str, object]:
    """Return the context of `layout/list.html`: `title`, `page`, whose rows they are and, with a search, `search`.

    `rows` have a column `owner`, and are called by `noun`. An operator sees those of all users with
    `?whose=everyone`, unless `for_operators` is False.
    """
    may_see_everyone = for_operators and bool(getattr(request.user, "is_operator", False))
    everyone = may_see_everyone and request.GET.get("whose") == "everyone"
    if not everyone:
        rows = rows.filter(owner_id=request.user.pk)
    context: dict[str, object] = {
        "title": f"{'All' if everyone else 'My'} {noun}",
        "everyone": everyone,
        "may_see_everyone": may_see_everyone,
    }
    if search is not None:
        lookup = BEGINNING if everyone else ANYWHERE
        found = context["search"] = search(request.GET, rows, lookup=lookup)
        rows = found.qs
    context["page"] = BoundedPaginator(rows, page_size).get_page(request.GET.get("page"))
    return context
