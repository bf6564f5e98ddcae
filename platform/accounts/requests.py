"""The account behind a request, with its type."""

from django.contrib.auth.models import AnonymousUser

from .models import User


def account_of(user: User | AnonymousUser) -> User | None:
    """Return the account of the user of a request; None for an anonymous one."""
    return user if user.is_authenticated else None


def signed_in(user: User | AnonymousUser) -> User:
    """Return the account of the user of a request that only users who are signed in can send.

    Raises `TypeError` for an anonymous one: the view lacks `login_required` or a permission class.
    """
    account = account_of(user)
    if account is None:
        raise TypeError("An anonymous request has reached a view for users who are signed in.")
    return account
