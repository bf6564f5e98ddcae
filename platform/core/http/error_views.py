"""Errors outside of views, in the words of whoever asked: a page, a problem document, Flash's answer."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from ..exceptions import TrainyardError
from .errors import NOT_ALLOWED, NOTHING_HERE, retry_after, status_of, words_of
from .flash import FAULT_OF_OURS, FLASH_PREFIX, flash_error, flash_failure
from .problems import Problem, problem_response

API_PREFIX = "/api/"


def refuse_error(request: HttpRequest, error: TrainyardError) -> HttpResponse:
    """Answer an expected error that no view has put into its page."""
    return refuse(request, status_of(error), words_of(error), retry_after=retry_after(error))


def refuse(request: HttpRequest, code: int, detail: str, *, retry_after: int | None = None) -> HttpResponse:
    """Answer an error; `retry_after` (seconds) tells a program when to come back."""
    response = _answer(request, code, detail)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def _answer(request: HttpRequest, code: int, detail: str) -> HttpResponse:
    if request.path_info.startswith(FLASH_PREFIX):
        return flash_failure() if code == 500 else flash_error(detail, status=404 if code == 404 else 200)
    if _wants_page(request):
        return _page(code, message=detail)
    return problem_response(Problem(code, detail))


def _page(code: int, **context: str) -> HttpResponse:
    """Return the page of an error, or the one for all that have none; made from nothing of the request.

    Django's own views of errors look for a form's token in the body, which may be what is wrong.
    """
    return HttpResponse(
        render_to_string([f"{code}.html", "error.html"], {"code": code, **context}), status=code
    )


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not _is_program(request)


def _is_program(request: HttpRequest) -> bool:
    return request.path_info.startswith((API_PREFIX, FLASH_PREFIX))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 to what cannot be understood."""
    if _is_program(request):
        return refuse(request, 400, "This request cannot be understood.")
    return _page(400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if _is_program(request):
        return refuse(request, 403, NOT_ALLOWED)
    return _page(403, exception=str(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    if _is_program(request):
        return refuse(request, 404, NOTHING_HERE)
    return _page(404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 to a fault of ours, without a word about its cause."""
    if _is_program(request):
        return refuse(request, 500, FAULT_OF_OURS)
    return _page(500)
