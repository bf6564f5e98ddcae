"""While `dev_mode` is on every door is shut, and says so; signing in and the admin stay open."""

from io import BytesIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from control.models import PlatformStatus
from core.queue.app import app
from models_registry.models import RegisteredModel
from tests.factories import (
    ArtifactFactory,
    DatasetFactory,
    RegisteredModelFactory,
    TrainingJobFactory,
    UserFactory,
)
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob
from training.tasks import run_training_job

pytestmark = pytest.mark.django_db

BROWSER = {"Accept": "text/html"}


@pytest.fixture(autouse=True)
def halted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})


@pytest.fixture
def user() -> User:
    return UserFactory()


def table() -> BytesIO:
    file = BytesIO(b"input,label\nhello,x\nbye,y\nhi,x\nciao,y\n")
    file.name = "d.csv"
    return file


def failed_job(user: User) -> TrainingJob:
    return TrainingJobFactory(owner=user, dataset__owner=user, state="failed", finished_at=timezone.now())


def rest_doors(user: User) -> dict[str, tuple[str, dict[str, Any], str]]:
    model = ArtifactFactory(model__owner=user).model
    dataset = DatasetFactory(owner=user)
    return {
        "upload": (
            "/api/v1/datasets/",
            {"name": "d", "task_type": "textclassification", "file": table()},
            "multipart",
        ),
        "submit": ("/api/v1/jobs/", {"dataset": dataset.pk, "name": "d"}, "json"),
        "retry": (f"/api/v1/jobs/{failed_job(user).pk}/retry/", {}, "json"),
        "predict": (f"/api/v1/models/{model.token}/predict/", {"texts": ["hello"]}, "json"),
    }


@pytest.mark.parametrize("door", ["upload", "submit", "retry", "predict"])
def test_rest_door_is_a_503_problem(user: User, door: str) -> None:
    client = APIClient()
    client.force_authenticate(user)
    address, data, kind = rest_doors(user)[door]
    jobs, datasets = TrainingJob.objects.count(), Dataset.objects.count()
    response = client.post(address, data, format=kind)
    assert response.status_code == 503, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert "halted for maintenance" in response.json()["detail"]
    assert (TrainingJob.objects.count(), Dataset.objects.count()) == (jobs, datasets)


def test_form_and_retry_button_are_a_503_page(client: Client, user: User) -> None:
    client.force_login(user)
    job = failed_job(user)
    response = client.post(reverse("training:retry", args=[job.pk]), headers=BROWSER)
    assert response.status_code == 503
    assert "halted for maintenance" in response.content.decode()
    assert TrainingJob.objects.count() == 1


def test_form_page_says_so_before_anybody_fills_it_in(client: Client, user: User) -> None:
    client.force_login(user)
    assert "halted for maintenance" in client.get("/new/").content.decode()


def test_shell_is_told_and_nothing_is_made(tmp_path: Any) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(table().read())
    with pytest.raises(CommandError, match="halted for maintenance"):
        call_command("submit", "--task", "textclassification", "--data", str(path), "--name", "d")
    assert not Dataset.objects.exists()


def test_job_does_not_start_and_is_announced_again_later() -> None:
    job = TrainingJobFactory(announced_at=timezone.now())
    run_training_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.announced_at) == ("queued", 0, None)


def test_clean_up_deletes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    model = RegisteredModelFactory(expires_at=timezone.now())
    call_command("cleanup")
    assert "halted for maintenance" in capsys.readouterr().out
    assert RegisteredModel.objects.get().state == model.state


def test_signing_in_the_admin_and_looking_stay_open(client: Client, user: User) -> None:
    assert client.get(reverse("account_login")).status_code == 200
    client.force_login(user)
    assert client.get("/jobs/").status_code == 200
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert client.get(reverse("admin:index")).status_code == 200
    assert client.get(reverse("admin:control_platformstatus_change", args=[1])).status_code == 200


def test_cancelling_is_no_operation_of_the_platform(client: Client, user: User) -> None:
    job = TrainingJobFactory(owner=user)
    client.force_login(user)
    client.post(reverse("training:cancel", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == "cancelled"
