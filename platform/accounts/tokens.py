"""API tokens of a user: list, create, revoke. The token itself is only returned by its creation."""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.models import AuthToken

from core.exceptions import InvalidRequest

from .models import User

MOST_TOKENS = 50
DAYS = 90
MOST_DAYS = 366


def good_tokens(user: User) -> QuerySet[AuthToken]:
    """Return a person's tokens that have not expired, newest first."""
    good = Q(expiry=None) | Q(expiry__gt=timezone.now())
    return AuthToken.objects.filter(good, user=user).order_by("-created")


def make_token(*, user: User, days: int) -> tuple[AuthToken, str]:
    """Create a token; returns its row and, this once, the token. Raises `InvalidRequest` when there are too many."""
    if good_tokens(user).count() >= MOST_TOKENS:
        raise InvalidRequest(f"You have {MOST_TOKENS} API tokens, which is the most. Revoke one first.")
    made, token = AuthToken.objects.create(user=user, expiry=timedelta(days=days))
    return made, token


def revoke_token(*, user: User, key: str) -> bool:
    """Revoke a token by its first characters; returns whether there was one."""
    deleted, _ = AuthToken.objects.filter(user=user, token_key=key).delete()
    return bool(deleted)
