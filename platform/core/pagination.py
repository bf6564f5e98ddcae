"""Pagination of the REST API."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Newest rows first, with an opaque cursor: constant cost however deep a client pages."""

    ordering = "-created_at"
    page_size_query_param = "page_size"
    max_page_size = 200
