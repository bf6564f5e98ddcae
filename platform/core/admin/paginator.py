"""A paginator whose count stops at a bound."""

from typing import Any, ClassVar

from django.core.paginator import Page, Paginator
from django.utils.functional import cached_property


class BoundedPaginator(Paginator):
    """Counts rows up to `BOUND`, so that a list of a million rows costs as much as one of ten thousand.

    What lies behind the last page is found by narrowing the list: a date, a filter, a search.
    """

    BOUND: ClassVar[int] = 10_000
    template_name = "admin/bounded_pagination.html"

    @cached_property
    def count(self) -> int:
        """The number of rows, or the bound when there are more."""
        return min(self._found, self.BOUND)

    def page(self, number: int | str) -> Page:
        """Return a page; which rows are on it is found in an index, before any row is read whole.

        Otherwise a database that has to sort carries all rows through the sorting with all their columns.
        """
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        rows: Any = self.object_list  # a QuerySet
        return Page(rows.filter(pk__in=rows.values("pk")[first:last]), number, self)

    @property
    def is_bounded(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._found > self.BOUND

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list  # a QuerySet
        return int(rows.order_by().values("pk")[: self.BOUND + 1].count())
