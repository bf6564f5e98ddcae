"""The pages of an account, and the messages that lead to some: sign-up, passwords, API tokens, e-mail addresses."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail import EmailMessage
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
    assert response.status_code == 400
    assert 'id="id_days_error"' in response.content.decode()
    assert not AuthToken.objects.exists()


def test_more_tokens_than_anybody_needs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.tokens.MOST_TOKENS", 1)
    client = as_(UserFactory())
    client.post(TOKENS, {"days": 7})
    response = client.post(TOKENS, {"days": 7})
    assert response.status_code == 400
    assert "Revoke one first" in response.content.decode()


def test_email_page_adds_an_address() -> None:
    user = UserFactory(email="")
    client = as_(user)
    assert "You have none." in client.get("/accounts/email/").content.decode()
    client.post("/accounts/email/", {"action_add": "", "email": "ann@example.org"})
    assert "ann@example.org" in client.get("/accounts/email/").content.decode()


def link_in(message: EmailMessage) -> str:
    found = re.search(r"https?://[^/\s]+(/accounts/\S+)", str(message.body))
    assert found
    return found[1]


def test_forgotten_password_is_replaced_by_a_link_that_works_once() -> None:
    person, client = UserFactory(), Client()
    client.post("/accounts/password/reset/", {"email": person.email})
    (message,) = mail.outbox
    assert message.subject == "Trainyard: A new password"
    form = client.get(link_in(message), follow=True)
    password = "another good passphrase"
    fields = {"password1": password, "password2": password}
    page = client.post(form.redirect_chain[-1][0], fields, follow=True).content.decode()
    assert "Your new password is set" in page
    assert client.login(username=person.username, password=password)
    assert "This link has expired" in Client().get(link_in(message), follow=True).content.decode()


def test_address_without_an_account_gets_a_message_that_says_so() -> None:
    page = Client().post("/accounts/password/reset/", {"email": "nobody@example.org"}, follow=True)
    assert "Check your inbox" in page.content.decode()
    (message,) = mail.outbox
    assert message.to == ["nobody@example.org"]
    assert "no account there has the address nobody@example.org" in message.body


def test_address_is_confirmed_by_its_owner_once() -> None:
    person = UserFactory(email="")
    client = as_(person)
    client.post("/accounts/email/", {"action_add": "", "email": "ada@example.org"})
    link = link_in(mail.outbox[0])
    assert "Does <strong" in client.get(link).content.decode()
    client.post(link)
    assert EmailAddress.objects.get(user=person).verified
    assert "This link has expired" in client.get(link).content.decode()


def test_account_that_is_switched_off_is_told_so() -> None:
    person = UserFactory(is_active=False)
    fields = {"login": person.username, "password": "a good passphrase"}
    page = Client().post("/accounts/login/", fields, follow=True).content.decode()
    assert "This account is switched off" in page
