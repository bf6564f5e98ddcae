"""The request as this platform's pages see it, for type checkers."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """A request that `HtmxMiddleware` has seen."""

    htmx: HtmxDetails
