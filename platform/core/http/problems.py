"""Errors of the REST API as RFC 9457 problem documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from ..exceptions import TooManyRequests, TrainyardError
from .errors import NOT_ALLOWED, NOTHING_HERE, retry_after, status_of, words_of

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """An error as it is told to a program; `errors` names the fields that cannot be used."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: object = None

    @property
    def body(self) -> dict[str, object]:
        """Return the problem document."""
        title = HTTPStatus(self.status).phrase
        told = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return told if self.errors is None else {**told, "errors": self.errors}


def problem_of(error: Exception) -> Problem | None:
    """Return what an expected error is; None for one that is a fault of ours."""
    if isinstance(error, exceptions.Throttled):
        error = TooManyRequests(getattr(error, "wait", None) or 1)
    if isinstance(error, TrainyardError):
        seconds = retry_after(error)
        headers = {} if seconds is None else {"Retry-After": str(seconds)}
        return Problem(status_of(error), words_of(error), headers)
    response = exception_handler(error, {})
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        return Problem(response.status_code, "Some fields cannot be used.", errors=error.detail)
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-type"}
    return Problem(response.status_code, _detail(error), headers)


def problem_details_handler(error: Exception, context: dict[str, object]) -> Response | None:
    """Turn an expected error into `application/problem+json`; None lets Django answer 500."""
    found = problem_of(error)
    if found is None:
        return None
    answer = problem(found.status, found.detail, errors=found.errors)
    for header, value in found.headers.items():
        answer.headers[header] = value
    return answer


def problem(code: int, detail: str, *, errors: object = None) -> Response:
    """Answer with a problem document."""
    return Response(Problem(code, detail, errors=errors).body, status=code, content_type=PROBLEM_TYPE)


def problem_response(found: Problem) -> JsonResponse:
    """Answer with a problem document where no renderer of REST framework does; the same to the last byte."""
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    response = JsonResponse(
        found.body, status=found.status, content_type=PROBLEM_TYPE, json_dumps_params=compact
    )
    for header, value in found.headers.items():
        response.headers[header] = value
    return response


def _detail(error: Exception) -> str:
    if isinstance(error, Http404):
        return NOTHING_HERE
    if isinstance(error, PermissionDenied):
        return NOT_ALLOWED
    return str(getattr(error, "detail", error))
