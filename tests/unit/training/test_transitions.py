import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from core.exceptions import StaleAttempt
from documents import keys
from models_registry.models import RegisteredModel
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training import transitions
from training.models import TrainingJob
from training.transitions import ALLOWED

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = timedelta(seconds=60)
State = TrainingJob.State


def claimed() -> TrainingJob:
    job = transitions.claim(TrainingJobFactory().pk, worker="w1", lease=LEASE)
    assert job is not None
    return job


def let_lease_end(job: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def state(job: TrainingJob) -> str:
    job.refresh_from_db()
    return job.state


def test_final_states_lead_nowhere() -> None:
    assert all(not ALLOWED[final] for final in (State.SUCCEEDED, State.FAILED, State.CANCELLED))


def test_claim_counts_attempts_and_names_the_worker() -> None:
    job = claimed()
    assert (job.attempt, job.worker, job.state) == (1, "w1", State.RUNNING)
    assert job.lease_expires_at > timezone.now()


def test_claim_twice_finds_nothing() -> None:
    job = claimed()
    assert transitions.claim(job.pk, worker="w2", lease=LEASE) is None


def test_claim_by_many_at_once_is_given_to_one() -> None:
    job, won = TrainingJobFactory(), []

    def take(name: str) -> None:
        try:
            if transitions.claim(job.pk, worker=name, lease=LEASE):
                won.append(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert state(job) == State.RUNNING
    assert job.attempt == 1


def test_status_document_follows_the_job(bucket: Path) -> None:
    job = claimed()
    status = json.loads((bucket / keys.STATUS).read_text())
    assert (status["status"], status["token"], status["task_type"]) == ("active", job.token, job.task_type)
    transitions.fail(job.pk, attempt=1, error="bad data")
    status = json.loads((bucket / keys.STATUS).read_text())
    assert (status["status"], status["token"], status["task_type"]) == ("sleeping", "", "")


def test_status_document_names_the_longest_running_job(bucket: Path) -> None:
    first, second = claimed(), claimed()
    assert json.loads((bucket / keys.STATUS).read_text())["token"] == first.token
    transitions.fail(first.pk, attempt=1, error="bad data")
    assert json.loads((bucket / keys.STATUS).read_text())["token"] == second.token


def test_renew_prolongs_the_lease_and_tells_the_state() -> None:
    job = claimed()
    assert transitions.renew(job.pk, attempt=1, lease=2 * LEASE, progress={"phase": "fit"}) is State.RUNNING
    job.refresh_from_db()
    assert job.lease_expires_at > timezone.now() + LEASE
    assert job.progress == {"phase": "fit"}
    assert transitions.cancel(job.pk)
    assert transitions.renew(job.pk, attempt=1, lease=LEASE) is State.CANCELLING


def test_attempt_whose_lease_is_over_can_do_nothing() -> None:
    job = claimed()
    let_lease_end(job)
    with pytest.raises(StaleAttempt):
        transitions.renew(job.pk, attempt=1, lease=LEASE)
    with pytest.raises(StaleAttempt):
        transitions.fail(job.pk, attempt=1, error="late")
    assert state(job) == State.RUNNING


def test_late_attempt_cannot_publish_after_another_took_over() -> None:
    job = claimed()
    let_lease_end(job)
    assert transitions.take_from_dead_worker(job, now=timezone.now(), max_attempts=3) is State.QUEUED
    second = transitions.claim(job.pk, worker="w2", lease=LEASE)
    assert second is not None
    assert second.attempt == 2
    with pytest.raises(StaleAttempt), transaction.atomic():
        model = RegisteredModelFactory(token=job.token)
        transitions.succeed(job.pk, attempt=1, model_id=model.pk)
    assert not RegisteredModel.objects.filter(token=job.token).exists()


def test_succeed_ends_the_job_with_its_model() -> None:
    job = claimed()
    model = RegisteredModelFactory(token=job.token)
    transitions.succeed(job.pk, attempt=1, model_id=model.pk)
    assert state(job) == State.SUCCEEDED
    assert job.registered_model == model
    assert job.finished_at is not None


def test_live_lease_is_not_taken() -> None:
    job = claimed()
    assert transitions.take_from_dead_worker(job, now=timezone.now(), max_attempts=3) is None
    assert state(job) == State.RUNNING


def test_last_attempt_of_a_dead_worker_fails_with_the_reason() -> None:
    job = claimed()
    let_lease_end(job)
    assert transitions.take_from_dead_worker(job, now=timezone.now(), max_attempts=1) is State.FAILED
    job.refresh_from_db()
    assert "w1 stopped answering" in job.error


def test_hand_back_queues_again_until_the_last_attempt() -> None:
    job = claimed()
    transitions.hand_back(job.pk, attempt=1, reason="killed", max_attempts=2)
    assert state(job) == State.QUEUED
    assert job.started_at is None
    transitions.claim(job.pk, worker="w2", lease=LEASE)
    transitions.hand_back(job.pk, attempt=2, reason="killed", max_attempts=2)
    assert state(job) == State.FAILED
    assert "2 attempts" in job.error


def test_cancel_queued_ends_it_and_running_asks_the_worker() -> None:
    queued, running = TrainingJobFactory(), claimed()
    assert transitions.cancel(queued.pk)
    assert state(queued) == State.CANCELLED
    assert transitions.cancel(running.pk)
    assert state(running) == State.CANCELLING
    assert transitions.cancel(running.pk), "asking twice is fine"
    transitions.finish_cancelling(running.pk, attempt=1)
    assert state(running) == State.CANCELLED
    assert not transitions.cancel(running.pk)


def test_cancelled_job_of_a_dead_worker_is_cancelled() -> None:
    job = claimed()
    transitions.cancel(job.pk)
    let_lease_end(job)
    job.refresh_from_db()
    assert transitions.take_from_dead_worker(job, now=timezone.now(), max_attempts=3) is State.CANCELLED


def test_completion_beats_a_late_cancel() -> None:
    job = claimed()
    transitions.cancel(job.pk)
    transitions.succeed(job.pk, attempt=1, model_id=RegisteredModelFactory(token=job.token).pk)
    assert state(job) == State.SUCCEEDED
    assert not transitions.cancel(job.pk)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "succeeded", "finished_at": timezone.now()},
        {"state": "running"},
        {"state": "failed"},
        {"state": "lost"},
    ],
)
def test_database_refuses_impossible_jobs(wrong: dict[str, object]) -> None:
    job = TrainingJobFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainingJob.objects.filter(pk=job.pk).update(**wrong)
