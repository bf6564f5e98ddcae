"""What steps do to a job beside what they do to every kind of leased work."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.exceptions import StaleAttempt
from documents import keys
from models_registry.models import RegisteredModel
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.models import TrainingJob
from work import transitions

pytestmark = pytest.mark.django_db(transaction=True)

State = TrainingJob.State


def claimed(**fields: object) -> TrainingJob:
    job = transitions.claim(TrainingJobFactory(**fields), worker="w1")
    assert job is not None
    return job


def state(job: TrainingJob) -> str:
    job.refresh_from_db()
    return job.state


def test_status_document_follows_the_job(bucket: Path) -> None:
    job = claimed()
    status = json.loads((bucket / keys.STATUS).read_text())
    assert (status["status"], status["token"], status["task_type"]) == ("active", job.token, job.task_type)
    transitions.fail(job, reason="bad data")
    status = json.loads((bucket / keys.STATUS).read_text())
    assert (status["status"], status["token"], status["task_type"]) == ("sleeping", "", "")


def test_status_document_names_the_longest_running_job(bucket: Path) -> None:
    first, second = claimed(), claimed()
    assert json.loads((bucket / keys.STATUS).read_text())["token"] == first.token
    transitions.fail(first, reason="bad data")
    assert json.loads((bucket / keys.STATUS).read_text())["token"] == second.token


def test_late_attempt_cannot_publish_after_another_took_over() -> None:
    job = claimed()
    assert transitions.requeue(job, reason="Put back")
    second = transitions.claim(job, worker="w2")
    assert second is not None
    with pytest.raises(StaleAttempt), transaction.atomic():
        model = RegisteredModelFactory(token=job.token)
        transitions.succeed(job, registered_model_id=model.pk)
    assert not RegisteredModel.objects.filter(token=job.token).exists()


def test_success_needs_the_model_and_keeps_it() -> None:
    job = claimed()
    with pytest.raises(IntegrityError), transaction.atomic():
        transitions.succeed(job)
    model = RegisteredModelFactory(token=job.token)
    transitions.succeed(job, registered_model_id=model.pk)
    assert state(job) == State.SUCCEEDED
    assert job.registered_model == model


def test_error_is_what_a_failed_job_says_and_nothing_before() -> None:
    job = claimed()
    transitions.hand_back(job, reason="Suspended for maintenance")
    assert (state(job), job.error) == (State.QUEUED, "")
    again = transitions.claim(job, worker="w2")
    assert again is not None
    transitions.fail(again, reason="Add a class.")
    assert (state(job), job.error) == (State.FAILED, "Add a class.")


def test_suspension_shows_what_was_reached() -> None:
    job = claimed()
    job.progress = {
        "phase": "train",
        "metrics": {"epoch": 4, "epochs": 10},
        "checkpoint": {"epoch": 3},
        "done": 4,
    }
    transitions.hand_back(job, reason="Suspended for maintenance")
    assert state(job) == State.QUEUED
    assert job.progress == {
        "phase": "queued",
        "metrics": {"epoch": 4, "epochs": 10},
        "checkpoint": {"epoch": 3},
    }
    assert job.message == job.how_far.message == "Suspended for maintenance at epoch 3 of 10."
    assert job.spent > timedelta()


def test_reason_of_a_job_that_an_older_release_left_in_the_queue_is_shown() -> None:
    reason = "Suspended for maintenance at epoch 3 of 10."
    job = TrainingJobFactory(progress={"phase": "queued", "message": reason}, message="")
    assert job.how_far.message == reason


def test_claim_keeps_what_was_reached_in_view() -> None:
    reached = {"phase": "queued", "message": "…", "metrics": {"epoch": 3}, "checkpoint": {"epoch": 3}}
    job = claimed(progress=reached, not_before=timezone.now())
    assert job.progress == {"phase": "claimed", "metrics": {"epoch": 3}, "checkpoint": {"epoch": 3}}
    assert job.not_before is None


def test_time_of_all_attempts_is_counted() -> None:
    job = claimed()
    job.started_at = timezone.now() - timedelta(minutes=5)
    job.save()
    transitions.hand_back(job, reason="Suspended")
    job.refresh_from_db()
    assert timedelta(minutes=5) <= job.running_for < timedelta(minutes=6)
    transitions.claim(job, worker="w2")
    job.refresh_from_db()
    assert job.running_for >= timedelta(minutes=5)


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_files_of_every_attempt_are_swept_once_more_when_a_job_ends(end: str) -> None:
    job = claimed(attempt=2, swept_attempt=2)
    if end == "failed":
        transitions.fail(job, reason="no")
    else:
        transitions.cancel(job)
        transitions.finish_cancelling(job)
    job.refresh_from_db()
    assert (job.attempt, job.swept_attempt) == (3, 0)
