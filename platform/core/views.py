"""Pages that belong to no app: the front door and the health check."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache


def home(request: HttpRequest) -> HttpResponse:
    """Greet strangers; take people who are signed in to their models."""
    if request.user.is_authenticated:
        return redirect("inference:models")
    return render(request, "home.html", {"sign_up_open": settings.SIGN_UP_OPEN})


@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Tell whether this process can answer: 200 with the database at hand, 503 without."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"database": "away"}, status=503)
    return JsonResponse({"database": "ok"})
