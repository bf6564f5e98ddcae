"""What goes when: on the page, over REST, and kept by a click."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from evaluations.expiring import expiring_versions
from models_registry.models import RegisteredModel
from tests.factories import BatchFactory, EvaluationFactory, RegisteredModelFactory, UserFactory

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def version(owner: object, **fields: object) -> RegisteredModel:
    return RegisteredModelFactory(owner=owner, **fields)


def test_what_goes_is_told_and_kept() -> None:
    owner, now = UserFactory(), timezone.now()
    later, first = version(owner, expires_at=now + 28 * DAY), version(owner, expires_at=now + DAY)
    retired = version(owner, state="retired", retired_at=now)
    for kept in ({"expires_at": None}, {"pinned": True}, {"state": "deleted"}):
        version(owner, **kept)
    version(UserFactory())
    EvaluationFactory(model=first)
    batch = BatchFactory(owner=owner, expires_at=now + DAY, state="succeeded", finished_at=now)
    BatchFactory(expires_at=now + DAY, state="succeeded", finished_at=now)
    found = expiring_versions(owner)
    assert [(row.model, row.is_over, row.evaluations, row.may_be_kept) for row in found] == [
        (retired, True, 0, False),
        (first, False, 1, True),
        (later, False, 0, False),
    ]
    client = Client()
    client.force_login(owner)
    told = client.get("/api/v1/expiring/").json()
    assert [(row["token"], row["evaluations"]) for row in told["versions"]] == [
        (retired.token, 0),
        (first.token, 1),
        (later.token, 0),
    ]
    assert [row["id"] for row in told["batches"]] == [batch.identifier]
    page = client.get("/expiring/").content.decode()
    assert page.count("days longer") == 1
    assert "with the next clean-up" in page
    client.post(f"/expiring/{first.pk}/keep/")
    first.refresh_from_db()
    assert 7 * DAY < first.time_left <= 8 * DAY


def test_only_ones_own_can_be_kept() -> None:
    model, client = RegisteredModelFactory(), Client()
    client.force_login(UserFactory())
    assert client.post(f"/expiring/{model.pk}/keep/").status_code == 404
    assert "None of your versions will be deleted." in client.get("/expiring/").content.decode()
