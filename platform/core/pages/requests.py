"""The type of a page's request, for type checkers."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """A request after `HtmxMiddleware`, which sets `htmx`."""

    htmx: HtmxDetails
