"""Steering jobs from the admin."""

from datetime import timedelta

import pytest
from celery import current_app
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import TrainingJobFactory, UserFactory
from training import transitions
from training.models import TrainingJob

pytestmark = pytest.mark.django_db

LIST = "admin:training_trainingjob_changelist"
CHANGE = "admin:training_trainingjob_change"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    jobs: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, queue: jobs.append(args[0]))
    return jobs


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def running() -> TrainingJob:
    job = transitions.claim(TrainingJobFactory().pk, worker="w1", lease=timedelta(minutes=1))
    assert job is not None
    return job


def failed() -> TrainingJob:
    return TrainingJobFactory(state="failed", finished_at=timezone.now(), error="no luck")


def act(client: Client, action: str, *jobs: TrainingJob) -> str:
    data = {"action": action, "_selected_action": [job.pk for job in jobs]}
    return client.post(reverse(LIST), data, follow=True).content.decode()


def test_requeue_takes_running_jobs_from_their_worker(root: Client, sent: list[int]) -> None:
    job, ended = running(), failed()
    page = act(root, "requeue", job, ended)
    job.refresh_from_db()
    assert (job.state, job.failures) == ("queued", 0)
    assert sent == [job.pk]
    assert "only a running or queued job" in page
    history = root.get(reverse("admin:training_trainingjob_history", args=[job.pk])).content.decode()
    assert "Put back into the queue." in history


def test_retry_makes_new_jobs_of_failed_ones(root: Client, sent: list[int]) -> None:
    old = failed()
    act(root, "retry", old)
    new = TrainingJob.objects.exclude(pk=old.pk).get()
    assert (new.state, new.owner, new.dataset, new.origin) == ("queued", old.owner, old.dataset, "retry")


def test_priority_is_all_that_is_edited(root: Client) -> None:
    job = TrainingJobFactory()
    page = root.get(reverse(CHANGE, args=[job.pk])).content.decode()
    assert 'name="priority"' in page
    assert 'name="state"' not in page
    root.post(reverse(CHANGE, args=[job.pk]), {"priority": "7", "name": "Other", "state": "succeeded"})
    job.refresh_from_db()
    assert (job.priority, job.name, job.state) == (7, "Flowers", "queued")


def test_edit_does_not_undo_what_a_worker_has_done_meanwhile() -> None:
    from django.contrib import admin

    shown = TrainingJobFactory()
    transitions.claim(shown.pk, worker="w1", lease=timedelta(minutes=1))
    shown.priority = 3
    admin.site.get_model_admin(TrainingJob).save_model(None, shown, None, True)
    shown.refresh_from_db()
    assert (shown.priority, shown.state, shown.attempt) == (3, "running", 1)


def test_who_may_only_look_changes_nothing(client: Client) -> None:
    viewer = UserFactory(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_trainingjob"))
    client.force_login(viewer)
    job = running()
    act(client, "requeue", job)
    client.post(reverse(CHANGE, args=[job.pk]), {"priority": "7"})
    job.refresh_from_db()
    assert (job.state, job.priority) == ("running", 0)
