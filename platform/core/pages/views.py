"""Pages that belong to no app: the home page, health and metrics."""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..observability.health import OK, examine
from ..observability.metrics import exposition


def home(request: HttpRequest) -> HttpResponse:
    """Return the home page; redirect users who are signed in to their models."""
    if request.user.is_authenticated:
        return redirect("inference:projects")
    return render(request, "home.html", {"sign_up_open": settings.SIGN_UP_OPEN})


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Return the health of each part: 200 when all are healthy, else 503."""
    return _health(examine())


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Return whether this process and its database answer, for load balancers: 200 or 503."""
    return _health(examine("database"))


def _health(parts: dict[str, str]) -> JsonResponse:
    well = all(said == OK for said in parts.values())
    return JsonResponse({"status": OK if well else "not well", **parts}, status=200 if well else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics for Prometheus to staff and to callers with the METRICS_TOKEN; else 401 or 403."""
    if _has_metrics_token(request) or (request.user.is_authenticated and request.user.is_staff):
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)
    if request.user.is_authenticated:
        return HttpResponse("This is for staff.\n", status=403, content_type="text/plain")
    response = HttpResponse("Send the metrics token.\n", status=401, content_type="text/plain")
    response["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


def _has_metrics_token(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and secrets.compare_digest(given.encode(), token.encode())
