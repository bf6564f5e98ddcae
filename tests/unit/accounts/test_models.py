"""A new password ends what the old one has opened: other sessions, and API tokens."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

OLD, NEW = "a good passphrase", "another good passphrase"


def change_on_the_page(user: User, client: Client) -> None:
    client.post("/accounts/password/change/", {"oldpassword": OLD, "password1": NEW, "password2": NEW})


def reset_by_mail(user: User, client: Client) -> None:
    stranger = Client()
    stranger.post("/accounts/password/reset/", {"email": user.email})
    link = re.search(r"https?://[^/\s]+(/accounts/\S+)", str(mail.outbox[-1].body))
    assert link
    page = stranger.get(link[1], follow=True)
    stranger.post(page.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})


def change_in_the_admin(user: User, client: Client) -> None:
    root = Client()
    root.force_login(UserFactory(is_staff=True, is_superuser=True))
    fields = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    root.post(reverse("admin:auth_user_password_change", args=[user.pk]), fields)


def change_in_the_shell(user: User, client: Client) -> None:
    user.set_password(NEW)
    user.save()


WAYS = [change_on_the_page, reset_by_mail, change_in_the_admin, change_in_the_shell]


def is_let_in(token: str) -> bool:
    answer = Client().get("/api/v1/models/", headers={"Authorization": f"Token {token}"})
    return answer.status_code == 200


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/tokens/").status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_new_password_revokes_tokens_and_ends_other_sessions(way) -> None:  # type: ignore[no-untyped-def]
    cache.clear()
    user, other = UserFactory(), UserFactory()
    _, token = AuthToken.objects.create(user=user)
    _, theirs = AuthToken.objects.create(user=other)
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.force_login(user)
    assert is_let_in(token)
    way(user, here)
    assert User.objects.get(pk=user.pk).check_password(NEW)
    assert not is_let_in(token)
    assert not AuthToken.objects.filter(user=user).exists()
    assert is_let_in(theirs)
    assert not is_signed_in(elsewhere)
    assert is_signed_in(here) == (way is change_on_the_page)


def test_password_that_is_taken_away_revokes_tokens() -> None:
    user = UserFactory()
    _, token = AuthToken.objects.create(user=user)
    user.set_unusable_password()
    user.save()
    assert not is_let_in(token)


def test_account_that_is_switched_off_is_out() -> None:
    user = UserFactory()
    _, token = AuthToken.objects.create(user=user)
    client = Client()
    client.force_login(user)
    user.is_active = False
    user.save()
    assert not is_let_in(token)
    assert not is_signed_in(client)


def test_stronger_hash_of_the_same_password_revokes_nothing(settings) -> None:  # type: ignore[no-untyped-def]
    user = UserFactory()
    _, token = AuthToken.objects.create(user=user)
    before = user.password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    Client().post("/accounts/login/", {"login": user.username, "password": OLD})
    assert User.objects.get(pk=user.pk).password != before
    assert is_let_in(token)


def test_other_changes_of_an_account_revoke_nothing() -> None:
    user = UserFactory()
    _, token = AuthToken.objects.create(user=user)
    user.first_name = "Ada"
    user.save()
    assert is_let_in(token)


@pytest.mark.parametrize("path", ["/accounts/password/change/"])
def test_page_says_what_a_new_password_ends(path: str) -> None:
    client = Client()
    client.force_login(UserFactory())
    assert "all your API tokens are revoked" in client.get(path).content.decode()
