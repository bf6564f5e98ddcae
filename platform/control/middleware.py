"""The door: while the platform is halted, pages that would do something answer 503."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core.exceptions import MaintenanceMode
from core.problems import RETRY_AFTER
from core.refusals import refuse


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
        return refuse(request, 503, str(error), retry_after=RETRY_AFTER[MaintenanceMode])
