"""Steering jobs from the admin."""

from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.queue.app import app
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob, WorkerHeartbeat
from work import transitions

pytestmark = pytest.mark.django_db

LIST = "admin:training_trainingjob_changelist"
CHANGE = "admin:training_trainingjob_change"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    jobs: list[int] = []
    monkeypatch.setattr(app, "send_task", lambda name, args, queue, **_: jobs.append(args[0]))
    return jobs


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def running() -> TrainingJob:
    job = transitions.claim(TrainingJobFactory(), worker="w1")
    assert job is not None
    return job


def failed() -> TrainingJob:
    return TrainingJobFactory(state="failed", finished_at=timezone.now(), message="no luck")


def act(client: Client, action: str, *jobs: TrainingJob, **answers: str) -> str:
    data = {"action": action, "_selected_action": [job.pk for job in jobs], "confirmed": "yes", **answers}
    return client.post(reverse(LIST), data, follow=True).content.decode()


def test_requeue_takes_running_jobs_from_their_worker(root: Client, sent: list[int]) -> None:
    job, ended = running(), failed()
    page = act(root, "requeue", job, ended)
    job.refresh_from_db()
    assert (job.state, job.failures) == ("queued", 0)
    assert sent == [job.pk]
    assert "1 training job: Put back into the queue." in page
    assert act(root, "requeue", ended).count("this is for running and queued jobs") == 1
    history = root.get(reverse("admin:training_trainingjob_history", args=[job.pk])).content.decode()
    assert "Put back into the queue." in history


def test_retry_makes_new_jobs_of_failed_ones(root: Client, sent: list[int]) -> None:
    old = failed()
    act(root, "retry", old)
    new = TrainingJob.objects.exclude(pk=old.pk).get()
    assert (new.state, new.owner, new.dataset, new.origin) == ("queued", old.owner, old.dataset, "retry")


def test_what_succeeded_is_trained_again(root: Client, sent: list[int]) -> None:
    model = RegisteredModelFactory()
    old = TrainingJobFactory(state="succeeded", finished_at=timezone.now(), registered_model=model, seed=5)
    act(root, "repeat", old)
    data = {"action": "retrain", "_selected_action": [model.pk], "confirmed": "yes"}
    root.post(reverse("admin:models_registry_registeredmodel_changelist"), data)
    jobs = TrainingJob.objects.exclude(pk=old.pk)
    assert [(job.state, job.dataset, job.seed) for job in jobs] == [("queued", old.dataset, 5)] * 2


def test_jobs_are_cancelled_and_put_first(root: Client) -> None:
    job = TrainingJobFactory()
    act(root, "prioritise", job, priority="9")
    act(root, "cancel", job)
    job.refresh_from_db()
    assert (job.priority, job.state) == (9, "cancelled")


def test_unused_data_sets_are_deleted_with_their_files(root: Client, bucket: Path) -> None:
    unused, used = DatasetFactory(), TrainingJobFactory().dataset
    file = bucket / unused.key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"zip")
    data = {"action": "delete_unused", "_selected_action": [unused.pk, used.pk], "confirmed": "yes"}
    root.post(reverse("admin:training_dataset_changelist"), data)
    assert list(Dataset.objects.all()) == [used]
    assert not file.exists()
    assert LogEntry.objects.get().object_id == str(unused.pk)


def test_unused_data_sets_are_found(root: Client) -> None:
    unused, used = DatasetFactory(), TrainingJobFactory().dataset
    address = reverse("admin:training_dataset_changelist")
    assert list(root.get(address, {"used": "no"}).context["cl"].result_list) == [unused]
    assert list(root.get(address, {"used": "yes"}).context["cl"].result_list) == [used]


def test_data_set_leads_to_its_jobs_and_back(root: Client) -> None:
    job, _other = TrainingJobFactory(name="Owls"), TrainingJobFactory(name="Cats")
    page = root.get(reverse("admin:training_dataset_change", args=[job.dataset.pk])).content.decode()
    address = f"{reverse(LIST)}?dataset__id__exact={job.dataset.pk}"
    assert address in page
    assert [found.name for found in root.get(address).context["cl"].result_list] == ["Owls"]
    assert (
        reverse("admin:training_dataset_change", args=[job.dataset.pk])
        in root.get(reverse(CHANGE, args=[job.pk])).content.decode()
    )


def test_person_leads_to_what_is_theirs(root: Client) -> None:
    job, _other = TrainingJobFactory(), TrainingJobFactory()
    address = f"{reverse(LIST)}?owner__id__exact={job.owner.pk}"
    assert address in root.get(reverse("admin:accounts_user_change", args=[job.owner.pk])).content.decode()
    assert list(root.get(address).context["cl"].result_list) == [job]


def test_workers_show_what_they_run(root: Client) -> None:
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now, ready=True)
    job = running()
    page = root.get(reverse("admin:training_workerheartbeat_changelist")).content.decode()
    assert reverse(CHANGE, args=[job.pk]) in page


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
    transitions.claim(shown, worker="w1")
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
