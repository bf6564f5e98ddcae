import base64
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "a good passphrase"
TOKENS = "/api/v1/tokens/"


@pytest.fixture(autouse=True)
def nobody_has_guessed() -> None:
    cache.clear()


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def make(client: Client, body: object = None, **headers: str) -> Any:
    return client.post(TOKENS, body or {}, "application/json", headers=headers)


def test_a_token_is_made_with_a_password_works_and_is_revoked() -> None:
    user = UserFactory()
    response = make(Client(), {"days": 7}, **basic(user.username, PASSWORD))
    assert response.status_code == 201
    made = response.json()
    assert made["token"].startswith(made["id"])
    kept = AuthToken.objects.get(user=user)
    assert made["token"] not in str(vars(kept))
    assert kept.expiry is not None
    assert 6 <= (kept.expiry - timezone.now()).days <= 7
    by_token = Client(headers={"Authorization": f"Token {made['token']}"})
    listed = by_token.get(TOKENS).json()
    assert [entry["id"] for entry in listed] == [made["id"]]
    assert "token" not in listed[0]
    assert by_token.delete(f"{TOKENS}{made['id']}/").status_code == 204
    assert by_token.get(TOKENS).status_code == 401


def test_a_session_makes_a_token_and_another_token_does_not() -> None:
    client, user = Client(), UserFactory()
    client.force_login(user)
    response = make(client)
    assert response.status_code == 201
    again = make(Client(), Authorization=f"Token {response.json()['token']}")
    assert again.status_code == 403
    assert "password" in again.json()["detail"]


@pytest.mark.parametrize(
    "authorization", ["Token é", "Token \x00", "Token a b", "Basic é", "Basic eA==", "Token", "x"]
)
def test_odd_headers_are_a_401(authorization: str) -> None:
    response = Client().get(TOKENS, headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("days", [0, -1, 367, "x", None, 1e99])
def test_a_token_is_good_for_a_year_at_most(days: object) -> None:
    client = Client()
    client.force_login(UserFactory())
    assert make(client, {"days": days}).status_code == 400
    assert not AuthToken.objects.exists()


def test_a_token_that_has_expired_is_a_stranger() -> None:
    kept, token = AuthToken.objects.create(user=UserFactory())
    AuthToken.objects.filter(pk=kept.pk).update(expiry=timezone.now())
    assert Client(headers={"Authorization": f"Token {token}"}).get("/api/v1/models/").status_code == 401


def test_wrong_passwords_and_those_who_left_are_refused() -> None:
    user, gone = UserFactory(), UserFactory(is_active=False)
    for headers in (basic(user.username, "guess"), basic(gone.username, PASSWORD), basic("no\x00body", "x")):
        assert make(Client(), **headers).status_code == 401


def test_guessing_ends_after_some_failures_even_for_the_right_password() -> None:
    user = UserFactory()
    answers = [make(Client(), **basic(user.username, f"guess {number}")).status_code for number in range(12)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert make(Client(), **basic(user.username, PASSWORD)).status_code == 429


def test_an_address_that_has_to_be_confirmed_first(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    user = UserFactory()
    response = make(Client(), **basic(user.username, PASSWORD))
    assert response.status_code == 401
    assert "e-mail" in response.json()["detail"]
    assert mail.outbox == []


def test_tokens_are_bounded_and_expired_ones_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.tokens.MOST_TOKENS", 1)
    client, user = Client(), UserFactory()
    client.force_login(user)
    assert make(client).status_code == 201
    assert make(client).status_code == 400
    AuthToken.objects.update(expiry=timezone.now())
    assert client.get(TOKENS).json() == []
    assert make(client).status_code == 201
