"""Pages of lists that may be long: counting stops where nobody would leaf through any more."""

from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.utils.functional import cached_property


class BoundedPaginator(Paginator):
    """Counts rows up to a bound, so that a list of a million costs what one of ten thousand does.

    What lies behind the last page is found by narrowing the list: a date, a filter, a search.
    """

    BOUND: ClassVar[int] = 10_000
    template_name = "admin/bounded_pagination.html"

    @cached_property
    def count(self) -> int:
        """The number of rows, or the bound when there are more."""
        return min(self._found, self.BOUND)

    @property
    def is_bounded(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._found > self.BOUND

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list  # a QuerySet
        return int(rows.order_by().values("pk")[: self.BOUND + 1].count())
