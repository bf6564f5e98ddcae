"""Every page says where scripts may come from: from here; the admin's library may evaluate expressions."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def policy(client: Client, name: str) -> dict[str, str]:
    header = client.get(reverse(name))["Content-Security-Policy"]
    return dict(part.strip().split(" ", 1) for part in header.split(";"))


def test_policy_of_the_users_pages_is_strict(client: Client) -> None:
    found = policy(client, "home")
    assert (found["script-src"], found["style-src"]) == ("'self'", "'self'")


def test_policy_of_the_admin_lets_no_script_into_a_page(client: Client) -> None:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    found = policy(client, "admin:index")
    assert found["script-src"] == "'self' 'unsafe-eval'"
    assert found["default-src"] == "'none'"
