"""Checks of requests to a model before their large bodies are read."""

from django.http import HttpRequest

from accounts.quota import require_room
from accounts.requests import account_of
from core.http.admission import claimed_by_file
from core.http.throttles import client_of, peek

from .lookup import find_served_model


def require_model(token: str) -> None:
    """Raise `UnknownModel` for the token of no live model, and whatever else `find_served_model` raises."""
    find_served_model(token)


def before_batch(request: HttpRequest, token: str) -> None:
    """Check the head of a request that sends a batch: limits, model, quota. Raises `TrainyardError`."""
    before_form(request, token)
    require_room(account_of(request.user), claimed_by_file(request))


def before_form(request: HttpRequest, token: str) -> None:
    """Check the head of a request of a model's form: limits and model. Raises `TrainyardError`."""
    peek("predict-address", client_of(request))
    peek("predict-token", token)
    require_model(token)
