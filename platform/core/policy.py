"""The Content-Security-Policy, with the little more that the admin's library needs.

Unfold's pages evaluate expressions in attributes (Alpine, htmx) and style elements directly. Scripts still
come from this server alone and none stands in a page, so what a name or a file contains cannot run.
"""

from typing import Any

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse


class PolicyMiddleware(CSPMiddleware):
    """One policy for everything, a wider one for the admin."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """Return the settings' policy, widened where it has to be."""
        parts: Any = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(reverse("admin:index")):
            parts.update = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}
        return parts
