"""The pages of jobs: for strangers, others, owners and staff."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from control.models import PlatformStatus
from core.queue.app import app
from tests.factories import RegisteredModelFactory, TrainingJobFactory, UserFactory
from training.jobs.models import TrainingJob, WorkerHeartbeat

pytestmark = pytest.mark.django_db

State = TrainingJob.State
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def running_job(**fields: Any) -> TrainingJob:
    now = timezone.now()
    defaults = {
        "state": State.RUNNING,
        "attempt": 1,
        "started_at": now,
        "lease_expires_at": now + timedelta(hours=1),
        "progress": {"phase": "features", "done": 3, "total": 12},
        "log_tail": "a line of the log",
    }
    return TrainingJobFactory(**{**defaults, **fields})


def succeeded_job(**fields: Any) -> TrainingJob:
    now = timezone.now()
    model = RegisteredModelFactory()
    return TrainingJobFactory(
        state=State.SUCCEEDED, registered_model=model, started_at=now, finished_at=now, **fields
    )


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ["jobs", "job", "job-fragment", "cancel", "retry"])
def test_strangers_are_asked_to_sign_in(name: str, method: str) -> None:
    job = TrainingJobFactory(owner=None)
    address = reverse(f"training:{name}", args=[] if name == "jobs" else [job.pk])
    response = getattr(Client(), method)(address)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("name", ["job", "job-fragment", "cancel", "retry"])
def test_jobs_of_others_do_not_exist(name: str) -> None:
    job = running_job()
    client, address = as_(UserFactory()), reverse(f"training:{name}", args=[job.pk])
    assert (client.post if name in ("cancel", "retry") else client.get)(address).status_code == 404
    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_jobs_of_nobody_are_for_staff_alone() -> None:
    job = running_job(owner=None)
    address = reverse("training:job", args=[job.pk])
    assert as_(UserFactory()).get(address).status_code == 404
    assert as_(UserFactory(is_staff=True, is_superuser=True)).get(address).status_code == 200


@pytest.mark.parametrize("who", ["owner", "staff"])
@pytest.mark.parametrize("name", ["job", "job-fragment"])
def test_owner_and_staff_see_a_job(name: str, who: str) -> None:
    job = running_job()
    client = as_(job.owner if who == "owner" else UserFactory(is_staff=True, is_superuser=True))
    response = client.get(reverse(f"training:{name}", args=[job.pk]))
    assert response.status_code == 200
    page = response.content.decode()
    assert "Extracting features" in page
    assert 'max="12"' in page
    assert "a line of the log" in page


def test_page_of_an_unfinished_job_asks_for_news_and_that_of_an_ended_one_does_not() -> None:
    unfinished = running_job()
    client = as_(unfinished.owner)
    assert 'hx-trigger="every 1s"' in client.get(f"/jobs/{unfinished.pk}/").content.decode()
    failed = TrainingJobFactory(
        owner=unfinished.owner,
        state=State.FAILED,
        finished_at=timezone.now(),
        message="Row 7 has <b> no label.",
    )
    for name in ("job", "job-fragment"):
        page = client.get(reverse(f"training:{name}", args=[failed.pk])).content.decode()
        assert "hx-trigger" not in page
        assert "Row 7 has &lt;b&gt; no label." in page


def test_news_of_a_live_model_lead_to_it() -> None:
    job = succeeded_job()
    response = as_(job.owner).get(f"/jobs/{job.pk}/fragment/", headers=HTMX)
    assert job.registered_model is not None
    assert response["HX-Redirect"] == f"/models/{job.registered_model.token}/"


def test_page_of_a_succeeded_job_shows_accuracy_and_the_model() -> None:
    job = succeeded_job()
    page = as_(job.owner).get(f"/jobs/{job.pk}/").content.decode()
    assert job.registered_model is not None
    assert "96.2" in page or "96.3" in page
    assert f"/models/{job.registered_model.token}/" in page


def test_queued_job_says_its_place_and_whether_anybody_works() -> None:
    first = TrainingJobFactory()
    job = TrainingJobFactory(owner=first.owner)
    client = as_(job.owner)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "Place 2 in the queue" in page
    assert "No worker is running" in page
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w", queues=["cpu"], started_at=now, seen_at=now)
    assert "No worker is running" not in client.get(f"/jobs/{job.pk}/").content.decode()


def test_training_job_shows_what_its_trainer_tells() -> None:
    curve = [
        {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.2, "validation_accuracy": 0.5},
        {"epoch": 2, "train_loss": 0.5, "validation_loss": 0.7, "validation_accuracy": 0.8},
    ]
    metrics = {"epoch": 3, "epochs": 8, "loss": 0.4, "images_per_second": 120.5, "seconds_left": 95}
    job = running_job(
        strategy="finetune",
        progress={"phase": "train", "done": 30, "total": 80, "metrics": {**metrics, "curve": curve}},
    )
    page = as_(job.owner).get(f"/jobs/{job.pk}/fragment/").content.decode()
    for words in ("3 of 8", "Images per second", "1 minute 35 seconds", "<polyline", "validation 80.0 %"):
        assert words in page, words


def test_page_shows_what_best_has_tried_and_what_chance_may_tell_apart() -> None:
    board = [
        {"name": "Mean of 2 ways", "accuracy": 0.986, "seconds": 331.2, "alike": True},
        {"name": "last stages, 9 epochs at 0.001", "accuracy": 0.983, "seconds": 81, "alike": True},
        {"name": "Fast", "accuracy": 0.97, "seconds": 29.6, "alike": False},
        {"name": "of an older release", "accuracy": 0.9, "seconds": 5},
    ]
    job = running_job(strategy="best", progress={"phase": "train", "metrics": {"leaderboard": board}})
    page = as_(job.owner).get(reverse("training:job", args=[job.pk])).content.decode()
    words = " ".join(strip_tags(page).split())
    assert "Mean of 2 ways 98.6 % 5 min 31 s" in words
    assert "Last stages, 9 epochs at 0.001 (about as good) 98.3 % 1 min 21 s" in words
    assert "Fast 97.0 % 29.6 s" in words
    assert "Of an older release 90.0 % 5.0 s" in words


def test_suspended_job_says_where_it_goes_on_and_that_nothing_is_lost() -> None:
    job = TrainingJobFactory(
        progress={"phase": "queued", "message": "Suspended for maintenance at epoch 3 of 10."}
    )
    PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})
    page = as_(job.owner).get(f"/jobs/{job.pk}/").content.decode()
    assert "Suspended for maintenance at epoch 3 of 10." in page
    assert "goes on by itself when maintenance is over" in page
    assert "No worker is running" not in page


def test_queued_job_says_when_it_is_expected_to_start() -> None:
    done = succeeded_job()
    TrainingJob.objects.filter(pk=done.pk).update(started_at=timezone.now() - timedelta(minutes=1))
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w", queues=["cpu"], started_at=now, seen_at=now)
    for _ in range(4):
        TrainingJobFactory()
    job = TrainingJobFactory()
    page = as_(job.owner).get(f"/jobs/{job.pk}/").content.decode()
    assert "expected to start" in page
    assert "minutes from now" in page


def test_retry_of_a_failed_job_leads_to_the_new_one() -> None:
    job = TrainingJobFactory(state=State.FAILED, finished_at=timezone.now(), message="no luck")
    client = as_(job.owner)
    assert reverse("training:retry", args=[job.pk]) in client.get(f"/jobs/{job.pk}/").content.decode()
    response = client.post(reverse("training:retry", args=[job.pk]))
    again = TrainingJob.objects.exclude(pk=job.pk).get()
    assert response["Location"] == f"/jobs/{again.pk}/"
    assert again.dataset == job.dataset
    refused = client.post(reverse("training:retry", args=[again.pk]), follow=True)
    assert "only a job that failed" in refused.content.decode()


def test_settings_that_were_asked_for_are_shown() -> None:
    job = TrainingJobFactory(
        strategy="finetune",
        epochs=7,
        advanced={"one_cycle": False, "augmentation": "light"},
        step_lr={"step_size": 2, "gamma": 0.5},
    )
    page = " ".join(as_(job.owner).get(f"/jobs/{job.pk}/").content.decode().split())
    assert '<dd class="number"> 7 </dd>' in page
    assert "default" in page.replace("&#x27;", "'")
    for words in ("One-cycle learning rate", "off", "Augmentation", "light", "step size 2, gamma 0.5"):
        assert words in page, words


def test_cancel_ends_a_queued_job_and_asks_a_running_one() -> None:
    queued = TrainingJobFactory()
    running = running_job(owner=queued.owner)
    client = as_(queued.owner)
    for job, state in ((queued, State.CANCELLED), (running, State.CANCELLING)):
        response = client.post(reverse("training:cancel", args=[job.pk]))
        assert response["Location"] == f"/jobs/{job.pk}/"
        job.refresh_from_db()
        assert job.state == state


def test_cancel_of_an_ended_job_says_so() -> None:
    job = succeeded_job()
    response = as_(job.owner).post(reverse("training:cancel", args=[job.pk]), follow=True)
    assert "has ended already" in response.content.decode()


def test_cancel_needs_a_post() -> None:
    job = running_job()
    assert as_(job.owner).get(reverse("training:cancel", args=[job.pk])).status_code == 405


def test_job_list_is_the_persons_own() -> None:
    mine, other = TrainingJobFactory(name="Mine"), TrainingJobFactory(name="Theirs")
    page = as_(mine.owner).get("/jobs/?whose=everyone").content.decode()
    assert "Mine" in page
    assert "Theirs" not in page
    staff = as_(UserFactory(is_staff=True, is_superuser=True))
    assert "Theirs" not in staff.get("/jobs/").content.decode()
    page = staff.get("/jobs/?whose=everyone").content.decode()
    assert other.owner.username in page


def test_empty_job_list_says_what_to_do_next() -> None:
    assert "Create your first model" in as_(UserFactory()).get("/jobs/").content.decode()


@pytest.mark.parametrize("count", [1, 30])
def test_job_list_costs_the_same_however_long(
    django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    user = UserFactory()
    for number in range(count):
        succeeded_job(owner=user, name=f"Job {number}")
    client = as_(user)
    with django_assert_num_queries(4):  # session, user, count, page
        page = client.get("/jobs/").content.decode()
    assert ("Page 1 of 2" in page) == (count > 25)


def test_job_list_is_searched_by_name_and_state() -> None:
    first = TrainingJobFactory(name="Spring flowers")
    TrainingJobFactory(name="Autumn leaves", owner=first.owner)
    TrainingJobFactory(name="Spring again", owner=first.owner, state=State.FAILED, finished_at=timezone.now())
    client = as_(first.owner)
    page = client.get("/jobs/?q=spring&state=queued").content.decode()
    assert "Spring flowers" in page
    assert "Autumn leaves" not in page
    assert "Spring again" not in page
    page = client.get("/jobs/?q=winter").content.decode()
    assert "No results" in page
    assert "Spring flowers" in client.get("/jobs/?state=nonsense").content.decode()
    assert "Spring flowers" in client.get("/jobs/?q=flowers").content.decode()


def test_everybodys_jobs_are_searched_by_how_their_names_begin() -> None:
    TrainingJobFactory(name="Spring flowers")
    client = as_(UserFactory(is_staff=True, is_superuser=True))
    page = client.get("/jobs/?whose=everyone&q=SPRING").content.decode()
    assert "Spring flowers" in page
    assert 'placeholder="Beginning of a name"' in page
    assert "No results" in client.get("/jobs/?whose=everyone&q=flowers").content.decode()
