"""Errors of the REST API as RFC 9457 problem documents."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from ..exceptions import (
    BucketError,
    InvalidRequest,
    LimitExceeded,
    MaintenanceMode,
    PlatformBusy,
    QuotaExceeded,
    TooManyRequests,
    TrainyardError,
)

STATUS_OF: dict[type[TrainyardError], int] = {
    MaintenanceMode: status.HTTP_503_SERVICE_UNAVAILABLE,
    BucketError: status.HTTP_503_SERVICE_UNAVAILABLE,
    LimitExceeded: status.HTTP_503_SERVICE_UNAVAILABLE,
    PlatformBusy: status.HTTP_409_CONFLICT,
    TooManyRequests: status.HTTP_429_TOO_MANY_REQUESTS,
    QuotaExceeded: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    InvalidRequest: status.HTTP_400_BAD_REQUEST,
}


PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = {MaintenanceMode: 60, BucketError: 10}  # seconds


def problem_details_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an expected error into `application/problem+json`; None lets Django answer 500."""
    if isinstance(error, TrainyardError):
        code = next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), 400)
        answer = problem(code, str(error))
        seconds = _retry_after(error)
        if seconds is not None:
            answer.headers["Retry-After"] = str(seconds)
        return answer
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        return problem(response.status_code, "Some fields cannot be used.", errors=error.detail)
    detail = _detail(error)
    answer = problem(response.status_code, detail)
    for header, value in response.headers.items():
        if header.lower() != "content-type":
            answer.headers[header] = value
    return answer


def _retry_after(error: TrainyardError) -> int | None:
    if isinstance(error, TooManyRequests):
        return error.seconds
    return next((known for kind, known in RETRY_AFTER.items() if isinstance(error, kind)), None)


def problem(code: int, detail: str, **extra: Any) -> Response:
    """Answer with a problem document."""
    return Response(problem_body(code, detail, **extra), status=code, content_type=PROBLEM_TYPE)


def problem_response(code: int, detail: str) -> JsonResponse:
    """Answer with a problem document where there is no view of the REST API; the same to the last byte."""
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    body = problem_body(code, detail)
    return JsonResponse(body, status=code, content_type=PROBLEM_TYPE, json_dumps_params=compact)


def problem_body(code: int, detail: str, **extra: Any) -> dict[str, Any]:
    """Return a problem document."""
    title = HTTPStatus(code).phrase
    return {"type": "about:blank", "title": title, "status": code, "detail": detail, **extra}


def _detail(error: Exception) -> str:
    if isinstance(error, Http404):
        return "There is nothing here, or it is not yours."
    if isinstance(error, PermissionDenied):
        return "Permission denied."
    return str(getattr(error, "detail", error))
