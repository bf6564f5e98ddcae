"""The door: while the platform is halted, pages that would do something answer 503."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from core.exceptions import MaintenanceMode


class MaintenanceMiddleware:
    """Turn `MaintenanceMode`, raised by any service, into a plain page or a JSON error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 503 with `Retry-After`; any other error is left to Django."""
        if not isinstance(error, MaintenanceMode):
            return None
        if "text/html" in request.headers.get("Accept", ""):
            response = render(request, "503.html", {"message": str(error)}, status=503)
        else:
            response = JsonResponse({"status": 503, "detail": str(error)}, status=503)
        response["Retry-After"] = "60"
        return response
