"""The door: every request gets a number, and a body that is too large is refused before a byte is kept."""

import re
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django_structlog.middlewares import RequestMiddleware

from ..exceptions import TrainyardError
from .admission import OVERHEAD, claimed_bytes, refusal, too_large
from .error_views import page_not_found, refuse, refuse_error
from .head_only import ASKED_ABOVE, HEAD_ONLY
from .problems import Problem, problem_response
from .throttles import client_of

View = TypeVar("View", bound=Callable[..., object])
REQUEST_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)

# Django spools a multipart body to disk before a view sees it, whoever sent it.
LIMITS = {  # settings by the addresses' names; other addresses take what a prediction may have
    "training:upload": "MAX_DATASET_BYTES",
    "api-dataset-list": "MAX_DATASET_BYTES",
    "api-dataset-plan": "MAX_DATASET_BYTES",
    "training:add-data": "MAX_DATASET_BYTES",
    "api-examples": "MAX_DATASET_BYTES",
    "flash:train": "MAX_DATASET_BYTES",
    "flash:check": "MAX_FLASH_CALL_BYTES",
    "flash:download": "MAX_FLASH_CALL_BYTES",
    "flash:status": "MAX_FLASH_CALL_BYTES",
    "inference:batches": "MAX_BATCH_BYTES",
    "api-batch-list": "MAX_BATCH_BYTES",
    "evaluations:evaluations": "VALIDATE_IN_WEB_BYTES",
    "api-evaluations": "VALIDATE_IN_WEB_BYTES",
}
WITHOUT_FILES = frozenset({"MAX_FLASH_CALL_BYTES"})  # of the whole form
UTF_8 = "utf-8"
IN_BASE64 = frozenset({"flash:train", "flash:inference"})  # four bytes for three


class RequestIdMiddleware:
    """Gives each request a number that stands in its log lines and in its answer (`X-Request-ID`).

    The number that a proxy has given is kept when `TRUST_REQUEST_ID` says that there is a proxy.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "") if settings.TRUST_REQUEST_ID else ""
        number = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=number):
            response = self.get_response(request)
        response["X-Request-ID"] = number
        return response


class RequestLogMiddleware(RequestMiddleware):
    """Logs requests that were refused or failed, and names in every line who asked.

    What would not be logged (`core.observability.logs` sets the level) is not put together: that took a
    sixth of a request.
    """

    def prepare(self, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=client_of(request))
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            self.bind_user_id(request)

    def handle_response(self, request: HttpRequest, response: HttpResponseBase) -> None:
        if response.status_code >= 400 or response.streaming:
            super().handle_response(request, response)
        else:
            structlog.contextvars.clear_contextvars()


class PlainTextMiddleware:
    """Refuses what no database takes as part of a text, and texts in another encoding than UTF-8.

    A NUL in the path leads nowhere (404); one in the query or in a cookie is a mistake (400). Other encodings, which a
    Content-Type may name, include some that are no text or make what cannot be written as UTF-8 again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            return page_not_found(request, Http404())
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query or "\x00" in query or any("\x00" in value for value in request.COOKIES.values()):
            return refuse(request, 400, "There is a NUL in the address or in a cookie.")
        charset = (request.content_params or {}).get("charset", UTF_8)
        if charset.lower() not in (UTF_8, "utf8"):
            request.encoding = UTF_8  # the address is written in it, too, and is looked at on the way out
            return refuse(request, 400, "Send texts as UTF-8.")
        return self.get_response(request)


class BodyLimitMiddleware:
    """Refuses bodies from a request's head: too large for the address (413), or not wanted (`core.http.admission`).

    A body without Content-Length would be empty for Django, so it is refused as well (411).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> HttpResponseBase | None:
        """Look before any other middleware reads the body."""
        return refuse_body(request, view, kwargs)


SESSIONLESS = "sessionless"  # attribute of a view


def sessionless(view: View) -> View:
    """Let a view be called ahead of sessions, forms and people's rights: it has none of them to look at."""
    setattr(view, SESSIONLESS, True)
    return view


class SessionlessMiddleware:
    """Calls views that are marked `sessionless` right here, without the middleware behind this one.

    After each run of a network the processor's caches hold none of Python: what counts is how much different code
    a request passes through.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._call: Callable[[HttpRequest], Any] = RequestLogMiddleware(
            convert_exception_to_response(_call_view)
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.resolver_match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        here = hasattr(request.resolver_match.func, SESSIONLESS)
        return self._call(request) if here else self.get_response(request)


def _call_view(request: HttpRequest) -> HttpResponseBase:
    found = request.resolver_match
    assert found is not None
    request.get_host()  # raises `DisallowedHost`
    answer = refuse_body(request, found.func, found.kwargs)
    if answer is None:
        answer = found.func(request, *found.args, **found.kwargs)
    return answer.render() if hasattr(answer, "render") else answer


class ErrorMiddleware:
    """Answers expected errors that a view has not dealt with, as whoever asked understands them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Leave what is no expected error to Django."""
        return refuse_error(request, error) if isinstance(error, TrainyardError) else None


def refuse_body(
    request: HttpRequest, view: Callable[..., Any], kwargs: dict[str, object]
) -> HttpResponseBase | None:
    """Return the answer to a request whose body is not wanted, or that the server should go on reading (100)."""
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return problem_response(Problem(411, "Send the body in one piece, with its Content-Length."))
    name = request.resolver_match.view_name if request.resolver_match else ""
    setting = LIMITS.get(name, "MAX_PREDICT_BYTES")
    limit = settings.TRAINYARD[setting]
    most = limit * 4 // 3 if name in IN_BASE64 else limit
    claimed = claimed_bytes(request)
    if claimed > most + (0 if setting in WITHOUT_FILES else OVERHEAD):
        return too_large(request, limit)
    if claimed <= ASKED_ABOVE:
        return None
    refused = refusal(request, view, kwargs)
    return HttpResponse(status=100) if refused is None and HEAD_ONLY in request.META else refused
