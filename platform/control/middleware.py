"""The door: while the platform is halted or its bucket is away, what needs it answers 503."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core.http.error_views import refuse
from core.http.problems import RETRY_AFTER


class MaintenanceMiddleware:
    """Turn `MaintenanceMode` and `BucketError`, raised by any service, into what the caller understands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 503 with `Retry-After`; any other error is left to Django."""
        seconds = next((known for kind, known in RETRY_AFTER.items() if isinstance(error, kind)), None)
        return None if seconds is None else refuse(request, 503, str(error), retry_after=seconds)
