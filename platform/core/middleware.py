"""The door for bodies: what is too large is refused before a byte of it is kept."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat

# Django spools a multipart body to disk before a view sees it, whoever sent it.
OVERHEAD = 2**20  # bytes of a form around its files
TAKES_DATASETS = frozenset({"training:new", "api-dataset-list"})


class BodyLimitMiddleware:
    """Answers 413 to a request whose Content-Length exceeds what its address takes.

    A body without that header is empty for Django, so the header is all there is to check.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Look before any other middleware reads the body."""
        name = request.resolver_match.view_name if request.resolver_match else ""
        limit = settings.TRAINYARD["MAX_DATASET_BYTES" if name in TAKES_DATASETS else "MAX_PREDICT_BYTES"]
        if int(request.META.get("CONTENT_LENGTH") or 0) <= limit + OVERHEAD:
            return None
        message = f"This is larger than the {filesizeformat(limit)} that can be sent here."
        if "text/html" in request.headers.get("Accept", ""):
            return render(request, "413.html", {"message": message}, status=413)
        problem = {"type": "about:blank", "title": "Content Too Large", "status": 413, "detail": message}
        return JsonResponse(problem, status=413, content_type="application/problem+json")
