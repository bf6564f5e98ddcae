import pytest
from django.contrib.auth.models import AnonymousUser

from accounts.models import User
from accounts.requests import account_of, signed_in


def test_an_account_is_returned_and_an_anonymous_user_has_none() -> None:
    user = User(username="ada")
    assert account_of(user) is user
    assert account_of(AnonymousUser()) is None


def test_a_view_for_users_never_goes_on_without_one() -> None:
    user = User(username="ada")
    assert signed_in(user) is user
    with pytest.raises(TypeError, match="anonymous"):
        signed_in(AnonymousUser())
