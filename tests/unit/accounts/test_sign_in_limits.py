"""Guessing passwords ends after a few failures at every door, and locks nobody else out."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import SignInAttempt, User
from accounts.sign_in_limits import PER_ACCOUNT, PER_CLIENT, TooManyGuesses, count_guess
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD, NEW = "a good passphrase", "another good passphrase"
LOGIN, TOKENS, CHANGE, AGAIN = (
    "/accounts/login/",
    "/api/v1/tokens/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
)
GUESSES = 60
Door = Callable[[User, str, Client], bool]


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    cache.clear()


def by_page(user: User, password: str, client: Client) -> bool:
    client.post(LOGIN, {"login": user.username, "password": password})
    return "_auth_user_id" in client.session


def by_email(user: User, password: str, client: Client) -> bool:
    client.post(LOGIN, {"login": user.email.upper(), "password": password})
    return "_auth_user_id" in client.session


def by_admin(user: User, password: str, client: Client) -> bool:
    fields = {"username": user.username, "password": password, "next": "/admin/"}
    client.post("/admin/login/", fields)
    page = client.post("/admin/login/?next=/admin/", fields, follow=True)
    client.post(page.redirect_chain[-1][0], {"login": user.username, "password": password})
    return "_auth_user_id" in client.session


def by_basic(user: User, password: str, client: Client) -> bool:
    answer = client.post(TOKENS, {}, "application/json", headers=basic(user.username, password))
    return answer.status_code == 201


def by_basic_get(user: User, password: str, client: Client) -> bool:
    return client.get(TOKENS, headers=basic(user.email, password)).status_code == 200


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


DOORS: list[Door] = [by_page, by_email, by_admin, by_basic, by_basic_get]


@pytest.mark.parametrize("door", DOORS)
def test_right_password_opens_every_door(door: Door) -> None:
    assert door(UserFactory(is_staff=True), PASSWORD, Client())


@pytest.mark.parametrize("door", DOORS)
def test_many_wrong_passwords_close_every_door_even_for_the_right_one(door: Door) -> None:
    user = UserFactory(is_staff=True)
    for number in range(GUESSES):
        assert not door(user, f"guess {number}", Client())
    assert SignInAttempt.objects.count() <= 5
    for one in DOORS:
        cache.clear()  # what allauth counts there is no help: another process has a cache of its own
        assert not one(user, PASSWORD, Client()), one


@pytest.mark.parametrize("path", [CHANGE, AGAIN])
def test_stolen_session_is_no_way_to_find_out_the_password(path: str) -> None:
    user = UserFactory()
    client = Client()
    client.force_login(user)
    for number in range(GUESSES):
        cache.clear()
        guess = f"guess {number}"
        client.post(path, {"oldpassword": guess, "password": guess, "password1": NEW, "password2": NEW})
    cache.clear()
    fields = {"oldpassword": PASSWORD, "password": PASSWORD, "password1": NEW, "password2": NEW}
    page = client.post(path, fields)
    assert "Too many failed attempts" in page.content.decode()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert not by_page(user, PASSWORD, Client())


def test_staff_who_are_signed_in_guess_nobody_elses_password_at_the_admins_door() -> None:
    viewer, root = UserFactory(is_staff=True), UserFactory(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(viewer)
    page = client.post("/admin/login/", {"username": root.username, "password": PASSWORD})
    assert page.status_code == 302
    assert client.session["_auth_user_id"] == str(viewer.pk)


def test_owner_signs_in_from_another_address() -> None:
    user = UserFactory()
    for number in range(GUESSES):
        by_page(user, f"guess {number}", Client(REMOTE_ADDR="192.0.2.1"))
    assert not by_page(user, PASSWORD, Client(REMOTE_ADDR="192.0.2.1"))
    assert by_page(user, PASSWORD, Client(REMOTE_ADDR="192.0.2.2"))


def test_other_people_at_the_guessers_address_sign_in() -> None:
    for number in range(GUESSES):
        cache.clear()
        by_page(UserFactory.build(username="root"), f"guess {number}", Client())
    assert by_page(UserFactory(), PASSWORD, Client())


@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8::{number:x}" for number in range(12)],
        [f"2001:db8:0:0:{number:x}::1" for number in range(12)],
        ["192.0.2.1", "::ffff:192.0.2.1"] * 6,
    ],
)
def test_addresses_of_one_customer_are_one(addresses: list[str]) -> None:
    user = UserFactory()
    for address in addresses:
        by_basic(user, "guess", Client(REMOTE_ADDR=address))
    assert not by_basic(user, PASSWORD, Client(REMOTE_ADDR=addresses[0]))


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "Client-IP"]
)
def test_made_up_addresses_change_nothing(header: str) -> None:
    user = UserFactory()
    for number in range(12):
        client = Client(headers={header: f"10.0.0.{number}"})
        assert not by_page(user, "guess", client)
    assert not by_page(user, PASSWORD, Client(headers={header: "10.0.0.99"}))


@pytest.mark.parametrize("made_up", ["10.0.0.{}, 192.0.2.7", "{}, 192.0.2.7:4{}", "x, [2001:db8::{}]:1"])
def test_only_what_the_trusted_proxy_adds_counts(settings: Any, made_up: str) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    user = UserFactory()
    for number in range(12):
        by_page(user, "guess", Client(headers={"X-Forwarded-For": made_up.format(number, number)}))
    assert not by_page(user, PASSWORD, Client(headers={"X-Forwarded-For": made_up.format(99, 99)}))
    assert by_page(user, PASSWORD, Client(headers={"X-Forwarded-For": "192.0.2.8"}))


@pytest.mark.parametrize("header", ["", "made up", "1.2.3.4", ",,,", "é"])
def test_odd_header_of_a_proxy_breaks_no_door(settings: Any, header: str) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 3}
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 3
    assert by_page(UserFactory(), PASSWORD, Client(headers={"X-Forwarded-For": header}))


def test_ways_to_write_a_name_are_one_account() -> None:
    user = UserFactory(username="Grace", email="grace@example.org")
    for name in ("grace", "GRACE", "grace@example.org", "GRACE@EXAMPLE.ORG", "gRACE"):
        assert Client().get(TOKENS, headers=basic(name, "guess")).status_code == 401
    answer = Client().get(TOKENS, headers=basic(user.username, PASSWORD))
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 300


def test_one_password_for_everybody_is_guessing_too() -> None:
    answers = [
        Client().get(TOKENS, headers=basic(f"person{number}", "123456")).status_code
        for number in range(GUESSES)
    ]
    assert answers == [401] * PER_CLIENT.failures + [429] * (GUESSES - PER_CLIENT.failures)


def test_many_addresses_do_not_add_up_and_lock_nobody_out_who_was_there_before() -> None:
    user, home = UserFactory(), Client(REMOTE_ADDR="192.0.2.1")
    assert by_page(user, PASSWORD, home)
    for number in range(PER_ACCOUNT.failures + 10):
        assert not by_basic(user, "guess", Client(REMOTE_ADDR=f"198.51.100.{number}"))
    assert SignInAttempt.objects.filter(succeeded=False).count() == PER_ACCOUNT.failures
    assert not by_basic(user, PASSWORD, Client(REMOTE_ADDR="203.0.113.1"))
    assert by_basic(user, PASSWORD, home)


def test_right_password_in_between_wipes_nothing() -> None:
    mallory, user = UserFactory(), UserFactory()
    for _ in range(4):
        by_basic(user, "guess", Client())
    assert by_basic(mallory, PASSWORD, Client())
    assert not by_basic(user, "guess", Client())
    assert not by_basic(user, PASSWORD, Client())


def test_right_password_does_not_count() -> None:
    user = UserFactory()
    for _ in range(PER_CLIENT.failures + 1):
        assert by_basic_get(user, PASSWORD, Client())
    assert SignInAttempt.objects.count() == 1


def test_waiting_opens_the_door_again() -> None:
    user = UserFactory()
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        for _ in range(GUESSES):
            by_basic(user, "guess", Client())
        with pytest.raises(TooManyGuesses) as raised:
            count_guess(login=user.username, client="127.0.0.1")
        assert raised.value.wait == timedelta(minutes=5)
        clock.shift(raised.value.wait + timedelta(seconds=1))
        assert by_basic(user, PASSWORD, Client())


def test_forgotten_password_that_was_replaced_opens_the_door_at_once() -> None:
    user = UserFactory()
    for _ in range(GUESSES):
        by_basic(user, "guess", Client())
    user.set_password(NEW)
    user.save()
    assert by_basic(user, NEW, Client())


def test_table_does_not_grow() -> None:
    old = timezone.now() - timedelta(days=40)
    for succeeded in (True, False):
        SignInAttempt.objects.create(account="a", client="b", at=old, succeeded=succeeded)
    by_basic(UserFactory(), "guess", Client())
    assert SignInAttempt.objects.count() == 1


def test_attempts_name_neither_account_nor_address() -> None:
    by_basic(UserFactory(username="grace"), "guess", Client(REMOTE_ADDR="192.0.2.1"))
    kept = str(SignInAttempt.objects.values_list().get())
    assert "grace" not in kept
    assert "192.0.2" not in kept


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_are_all_counted() -> None:
    user = UserFactory()

    def guess(_: int) -> bool:
        try:
            count_guess(login=user.username, client="192.0.2.1")
        except TooManyGuesses:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(24))) <= 5


def test_admins_door_leads_to_the_sign_in_page_and_back() -> None:
    user = UserFactory(is_staff=True)
    client = Client()
    page = client.get("/admin/auth/group/", follow=True)
    address = page.redirect_chain[-1][0]
    assert address.startswith(f"{LOGIN}?next=/admin/auth/group/")
    answer = client.post(LOGIN, {"login": user.username, "password": PASSWORD, "next": "/admin/auth/group/"})
    assert answer["Location"] == "/admin/auth/group/"
    assert client.get("/admin/login/?next=/admin/auth/group/")["Location"] == "/admin/auth/group/"


@pytest.mark.parametrize(
    "target", ["https://example.org/", "//example.org/", "javascript:alert(1)", "\\\\example.org"]
)
def test_admins_door_leads_nowhere_else(target: str) -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    assert client.get("/admin/login/", {"next": target})["Location"] == "/admin/"
    answer = Client().get("/admin/login/", {"next": target})
    assert answer["Location"] == f"{LOGIN}?next=/admin/"


def test_who_is_no_staff_is_told_so() -> None:
    user = UserFactory(username="ada")
    client = Client()
    client.force_login(user)
    page = client.get("/admin/", follow=True)
    assert page.status_code == 403
    assert "for staff, which ada is not" in page.content.decode()


def test_staff_without_rights_see_a_page_that_says_so() -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    assert "Nothing here is open to you yet" in client.get("/admin/").content.decode()


@pytest.mark.parametrize("name", ["password_change", "password_change_done"])
def test_admin_has_one_page_for_the_password(name: str) -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    answer = client.post(reverse(f"admin:{name}"), {"old_password": PASSWORD})
    assert answer["Location"] == CHANGE
