"""Large bodies are refused from a request's head: nobody sends, and no disk keeps, what will not be wanted.

A view that takes large bodies says what has to hold before: a function with `@admits(check)` (others take none), a
REST view with a method `admit`, beside its permissions, limits and parsers. All of it happens
before the body is touched, whichever server is in front; `core.http.head_only` says how ours makes use of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.middleware.csrf import CsrfViewMiddleware
from django.template.defaultfilters import filesizeformat
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied, UnsupportedMediaType
from rest_framework.request import Request

from ..exceptions import InvalidRequest, NotFound, QuotaExceeded, TrainyardError
from .error_views import refuse, refuse_error
from .errors import NOTHING_HERE
from .head_only import ASKED_ABOVE, HEAD_ONLY
from .throttles import COUNTED

OVERHEAD = 2**20  # bytes of a form around its files

Check = Callable[..., HttpResponseBase | None]
View = TypeVar("View", bound=Callable[..., object])


def admits(check: Check) -> Callable[[View], View]:
    """Let a view's large bodies be looked at by a function of the request and the address's arguments first.

    It returns an answer that refuses, or None; or raises `TrainyardError` or `Http404`.
    """

    def mark(view: View) -> View:
        view.admission = check  # type: ignore[attr-defined]
        return view

    return mark


def require_sign_in(request: HttpRequest) -> HttpResponseBase | None:
    """Lead strangers to the sign-in page; None for others."""
    return None if request.user.is_authenticated else redirect_to_login(request.get_full_path())


def too_large(request: HttpRequest, limit: int) -> HttpResponse:
    """Answer 413."""
    return refuse(request, 413, f"This is larger than the {filesizeformat(limit)} that can be sent here.")


def claimed_bytes(request: HttpRequest) -> int:
    """Return how long a request's body is, as far as its head tells."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def claimed_by_file(request: HttpRequest) -> int:
    """Return how many bytes the file in a form has at least, as far as its head tells."""
    return max(0, claimed_bytes(request) - OVERHEAD)


def refusal(
    request: HttpRequest, view: Callable[..., Any], kwargs: dict[str, object]
) -> HttpResponseBase | None:
    """Return the answer to a request whose large body is not wanted; None when it may come."""
    try:
        if HEAD_ONLY in request.META and not getattr(view, "csrf_exempt", False):
            refused = _forged(request)
            if refused is not None:
                return refused
        rest = getattr(view, "cls", None)
        if rest is not None:
            return _refused_by_rest(rest, request, view, kwargs)
        check: Check | None = getattr(view, "admission", None)
        return check(request, **kwargs) if check else too_large(request, ASKED_ABOVE)
    except Http404:
        return refuse(request, 404, NOTHING_HERE)
    except TrainyardError as error:
        return _answer(request, error)


def _answer(request: HttpRequest, error: TrainyardError) -> HttpResponse | None:
    """Answer an error as a view would; None for what a view says beside its form."""
    if isinstance(error, InvalidRequest) and not isinstance(error, NotFound | QuotaExceeded):
        return None
    return refuse_error(request, error)


def _forged(request: HttpRequest) -> HttpResponse | None:
    """Return Django's answer to a form of another site, as far as that can be told without the form.

    The form's own token lies in the body, which is looked at later; here it passes when there is a cookie.
    """
    form = QueryDict(mutable=True)
    if "X-CSRFToken" not in request.headers:
        form["csrfmiddlewaretoken"] = request.META.get("CSRF_COOKIE", "")
    request.POST = cast("Any", form)  # of the head alone: nobody else gets to see it
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    refused: HttpResponse | None = check.process_view(request, lambda _: HttpResponse(), (), {})
    return refused


def _refused_by_rest(
    rest: Any, request: HttpRequest, view: Any, kwargs: dict[str, object]
) -> HttpResponseBase | None:
    """Do what a REST view does before it looks at a body: rights, limits, kinds of bodies."""
    one = rest(**view.initkwargs)
    one.action_map = getattr(view, "actions", None)
    one.args, one.kwargs = (), kwargs
    sent: Request = one.initialize_request(request, **kwargs)
    one.request, one.headers = sent, one.default_response_headers
    try:
        with _form_unread(request):
            one.initial(sent, **kwargs)
        if not hasattr(one, _handler(one, sent)):
            one.http_method_not_allowed(sent)
        if sent.parsers and one.get_content_negotiator().select_parser(sent, sent.parsers) is None:
            raise UnsupportedMediaType(sent.content_type)
        by_session = isinstance(sent.successful_authenticator, SessionAuthentication)
        if HEAD_ONLY in request.META and by_session and _forged(request) is not None:
            raise PermissionDenied(
                "This was sent without the token that forms of this site have (X-CSRFToken)."
            )
        if hasattr(one, "admit"):
            one.admit(sent, **kwargs)
    except Exception as error:  # as the view itself would answer it
        response = one.finalize_response(sent, one.handle_exception(error), **kwargs)
        return response.render() if hasattr(response, "render") else response
    request.META[COUNTED] = True
    return None


@contextmanager
def _form_unread(request: HttpRequest) -> Iterator[None]:
    """Keep REST framework from looking for a token in the form of who is signed in."""
    request.csrf_processing_done = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del request.csrf_processing_done  # type: ignore[attr-defined]


def _handler(view: Any, request: Request) -> str:
    """Return the name of the method that would answer."""
    method = (request.method or "").lower()
    return str(view.action_map.get(method, "?")) if view.action_map else method
