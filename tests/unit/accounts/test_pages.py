"""The pages of an account: sign-up, API tokens, e-mail addresses."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

TOKENS = "/accounts/tokens/"


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_strangers_are_asked_to_sign_in() -> None:
    for response in (Client().get(TOKENS), Client().post(TOKENS), Client().post(f"{TOKENS}abc/revoke/")):
        assert response["Location"].startswith(reverse("account_login"))


def test_token_is_shown_once_and_works() -> None:
    client = as_(UserFactory())
    page = client.post(TOKENS, {"days": 7}).content.decode()
    found = re.search(r'id="new-token">\s*(\w+)', page)
    assert found is not None
    token = found[1]
    authorization = {"Authorization": f"Token {token}"}
    assert Client().get("/api/v1/models/", headers=authorization).status_code == 200
    again = client.get(TOKENS)
    assert token not in again.content.decode()
    assert AuthToken.objects.get().token_key in again.content.decode()
    assert "no-store" in again["Cache-Control"]


def test_revoked_token_is_a_strangers() -> None:
    user = UserFactory()
    made, token = AuthToken.objects.create(user=user)
    assert as_(UserFactory()).post(f"{TOKENS}{made.token_key}/revoke/").status_code == 404
    assert as_(user).get(f"{TOKENS}{made.token_key}/revoke/").status_code == 405
    assert as_(user).post(f"{TOKENS}{made.token_key}/revoke/")["Location"] == TOKENS
    answer = Client().get("/api/v1/models/", headers={"Authorization": f"Token {token}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("days", ["0", "367", "x", ""])
def test_days_out_of_range_are_named_at_the_field(days: str) -> None:
    response = as_(UserFactory()).post(TOKENS, {"days": days})
    assert response.status_code == 422
    assert 'id="id_days_error"' in response.content.decode()
    assert not AuthToken.objects.exists()


def test_more_tokens_than_anybody_needs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.tokens.MOST_TOKENS", 1)
    client = as_(UserFactory())
    client.post(TOKENS, {"days": 7})
    response = client.post(TOKENS, {"days": 7})
    assert response.status_code == 422
    assert "Revoke one first" in response.content.decode()


def test_email_page_adds_an_address() -> None:
    user = UserFactory(email="")
    client = as_(user)
    assert "You have none." in client.get("/accounts/email/").content.decode()
    client.post("/accounts/email/", {"action_add": "", "email": "ann@example.org"})
    assert "ann@example.org" in client.get("/accounts/email/").content.decode()
