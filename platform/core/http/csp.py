"""The Content-Security-Policy, with the little more that the admin's library needs, and which devices a page may use.

Unfold's pages evaluate expressions in attributes (Alpine, htmx) and style elements directly. Scripts still
come from this server alone and none stands in a page, so what a name or a file contains cannot run.
"""

from collections.abc import Callable
from functools import cache

from csp.constants import HEADER, UNSAFE_EVAL, UNSAFE_INLINE
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

PERMISSIONS = "Permissions-Policy"
NO_DEVICE = "camera=(), microphone=(), geolocation=()"
CAMERA = "camera=(self), microphone=(), geolocation=()"  # for the page that takes photos
ADMIN_NEEDS = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}


class CspMiddleware:
    """One Content-Security-Policy for everything, a wider one for the admin; both are the same for every answer.

    No page may use a device, such as the camera, unless its view says so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the headers, unless a view has its own."""
        response = self.get_response(request)
        if settings.DEBUG and response.status_code in (404, 500):  # Django's own pages bring their styles
            return response
        csp = _admin_csp() if request.path_info.startswith(_admin()) else _csp()
        response.headers.setdefault(HEADER, csp)
        response.headers.setdefault(PERMISSIONS, NO_DEVICE)
        return response


@cache
def _csp() -> str:
    return str(build_policy())


@cache
def _admin_csp() -> str:
    return str(build_policy(update=ADMIN_NEEDS))


@cache
def _admin() -> str:
    """Return how the admin's addresses begin; asking Django takes as long as finding a view."""
    return reverse("admin:index")
