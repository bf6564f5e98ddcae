"""Pagination of the REST API."""

import re

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from .filters import is_computable

SIZE = re.compile(r"0*[1-9][0-9]{0,5}")


class NewestFirst(CursorPagination):
    """Newest rows first, with an opaque cursor: constant cost however deep a client pages."""

    ordering = "-created_at"
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int | None:
        """Return how many rows a page has. Raises `ValidationError` for what is no number from 1 on."""
        asked = request.query_params.get(self.page_size_query_param, "")
        if asked and not SIZE.fullmatch(asked):
            raise ValidationError(
                {self.page_size_query_param: [f"Give a whole number from 1 to {self.max_page_size}."]}
            )
        return super().get_page_size(request)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Read the cursor; one that somebody made up is a 404 like any other that leads nowhere."""
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor
        try:
            known = parse_datetime(str(cursor.position))
        except ValueError:
            known = None
        if known is None or known.tzinfo is None or not is_computable(known):
            raise NotFound(self.invalid_cursor_message)
        return cursor
