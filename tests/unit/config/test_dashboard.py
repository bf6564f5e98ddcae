"""The admin's first page shows what runs and what needs a hand, to those who may see it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control.models import PlatformStatus
from documents.models import BucketCheck, Document
from documents.publish import publish_waiting
from tests.factories import ArtifactFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from training.jobs.models import WorkerHeartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget_sums() -> None:
    cache.clear()


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def page(client: Client) -> str:
    return client.get(reverse("admin:index")).content.decode()


def run_job(name: str) -> None:
    now = timezone.now()
    TrainingJobFactory(
        name=name,
        state="running",
        started_at=now,
        lease_expires_at=now + timedelta(hours=1),
        progress={"phase": "features", "done": 3, "total": 7},
    )


def test_dashboard_shows_jobs_models_documents_and_workers(root: Client) -> None:
    publish_waiting()
    ArtifactFactory(size=3 * 2**20)
    run_job("Birds")
    TrainingJobFactory(name="Cats", state="failed", finished_at=timezone.now(), message="Add a class.")
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now, ready=True)
    shown = page(root)
    for words in (
        "Birds",
        "Extracting features, 3 of 7",
        "Cats",
        "Add a class.",
        "3.0\xa0MB",
        "w1",
        "ready",
        "in sync",
    ):
        assert words in shown
    assert "in sync" in shown
    assert "Latest models" in shown
    assert "What needs a hand" not in shown


def test_dashboard_tells_what_needs_a_hand(root: Client) -> None:
    publish_waiting()
    Document.objects.filter(key="inference.json").update(last_error="The bucket is away.")
    BucketCheck.objects.create(pk=1, enforced=False, message="Edits can be lost.")
    RegisteredModelFactory(unusable_because="Its file is missing.")
    status = PlatformStatus.load()
    status.dev_mode = True
    status.save()
    shown = page(root)
    for words in ("failed", "Edits can be lost.", "Start one", "halted for maintenance"):
        assert words in shown


def test_dashboard_hides_what_one_may_not_see(client: Client) -> None:
    publish_waiting()
    run_job("Birds")
    viewer = UserFactory(is_staff=True)
    client.force_login(viewer)
    assert "Birds" not in page(client)
    assert "Documents" not in page(client)
    viewer.user_permissions.add(Permission.objects.get(codename="view_trainingjob"))
    assert "Birds" in page(client)
    assert "Maintenance mode" not in page(client)


def test_health_of_the_parts_is_told(root: Client) -> None:
    shown = root.get(reverse("admin:platform_health")).content.decode()
    assert "database" in shown
    assert "healthy" in shown


def test_health_is_for_those_who_may_look(client: Client) -> None:
    client.force_login(UserFactory(is_staff=True))
    assert client.get(reverse("admin:platform_health")).status_code == 403


def test_dashboard_takes_the_same_queries_for_any_number_of_rows(
    root: Client, django_assert_max_num_queries: Any
) -> None:
    publish_waiting()
    for number in range(12):
        ArtifactFactory()
        run_job(f"Job {number}")
    with django_assert_max_num_queries(30):
        shown = page(root)
    assert shown.count("Extracting features, 3 of 7") > 1
