import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import StaleAttempt
from documents import keys
from models_registry.models import RegisteredModel
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.engine.events import RunningMetrics
from training.jobs import transitions
from training.jobs.models import TrainingJob
from training.jobs.progress import JobProgress
from training.jobs.transitions import ALLOWED

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
    transitions.renew(job.pk, attempt=1, lease=2 * LEASE, progress={"phase": "fit"})
    assert transitions.state_of(job.pk, attempt=1) is State.RUNNING
    job.refresh_from_db()
    assert job.lease_expires_at > timezone.now() + LEASE
    assert job.progress == {"phase": "fit"}
    assert transitions.cancel(job.pk)
    assert transitions.state_of(job.pk, attempt=1) is State.CANCELLING


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
    transitions.hand_back(job.pk, attempt=1, reason="killed", max_attempts=2, progress=JobProgress())
    assert state(job) == State.QUEUED
    assert job.started_at is None
    transitions.claim(job.pk, worker="w2", lease=LEASE)
    transitions.hand_back(job.pk, attempt=2, reason="killed", max_attempts=2, progress=JobProgress())
    assert state(job) == State.FAILED
    assert "2 failed attempts" in job.error


def test_suspension_is_no_failure_and_shows_what_was_reached() -> None:
    job = claimed()
    metrics = RunningMetrics(epoch=4, epochs=10)
    progress = JobProgress("train", done=4, metrics=metrics, checkpoint_epoch=3)
    transitions.suspend(job.pk, attempt=1, reason="Suspended for maintenance", progress=progress)
    assert state(job) == State.QUEUED
    assert (job.failures, job.announced_at, job.lease_expires_at) == (0, None, None)
    assert job.progress["message"] == "Suspended for maintenance at epoch 3 of 10."
    assert job.progress["metrics"] == {"epoch": 4, "epochs": 10}
    assert job.spent > timedelta()


def test_stopped_workers_never_use_up_a_job() -> None:
    job = TrainingJobFactory()
    for attempt in range(1, 6):
        assert transitions.claim(job.pk, worker="w", lease=LEASE)
        transitions.suspend(job.pk, attempt=attempt, reason="Stopped", progress=JobProgress())
    transitions.claim(job.pk, worker="w", lease=LEASE)
    transitions.hand_back(job.pk, attempt=6, reason="killed", max_attempts=3, progress=JobProgress())
    assert state(job) == State.QUEUED
    assert (job.attempt, job.failures) == (6, 1)


def test_time_of_all_attempts_is_counted() -> None:
    job = claimed()
    TrainingJob.objects.filter(pk=job.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    transitions.suspend(job.pk, attempt=1, reason="Suspended", progress=JobProgress())
    job.refresh_from_db()
    assert timedelta(minutes=5) <= job.running_for < timedelta(minutes=6)
    transitions.claim(job.pk, worker="w2", lease=LEASE)
    job.refresh_from_db()
    assert job.running_for >= timedelta(minutes=5)


def test_job_that_is_cancelled_while_it_is_suspended_ends() -> None:
    job = claimed()
    transitions.cancel(job.pk)
    transitions.suspend(job.pk, attempt=1, reason="Suspended", progress=JobProgress())
    assert state(job) == State.CANCELLED


@pytest.mark.parametrize("late", ["suspend", "hand_back"])
def test_late_attempt_cannot_put_the_job_back(late: str) -> None:
    job = claimed()
    assert transitions.requeue(job.pk)
    assert transitions.claim(job.pk, worker="w2", lease=LEASE)
    with pytest.raises(StaleAttempt):
        if late == "suspend":
            transitions.suspend(job.pk, attempt=1, reason="late", progress=JobProgress())
        else:
            transitions.hand_back(job.pk, attempt=1, reason="late", max_attempts=3, progress=JobProgress())
    assert state(job) == State.RUNNING


def test_requeue_takes_a_running_job_from_its_worker() -> None:
    job = claimed()
    assert transitions.requeue(job.pk)
    assert state(job) == State.QUEUED
    with pytest.raises(StaleAttempt):
        transitions.state_of(job.pk, attempt=1)
    assert not transitions.requeue(job.pk), "it is queued already"


def test_nothing_is_claimed_while_the_platform_is_halted() -> None:
    job = TrainingJobFactory()
    PlatformStatus(dev_mode=True).save()
    assert transitions.claim(job.pk, worker="w1", lease=LEASE) is None
    PlatformStatus(dev_mode=False).save()
    assert transitions.claim(job.pk, worker="w1", lease=LEASE) is not None


def test_claim_keeps_what_was_reached_in_view() -> None:
    reached = {"phase": "queued", "message": "…", "metrics": {"epoch": 3}, "checkpoint": {"epoch": 3}}
    job = transitions.claim(TrainingJobFactory(progress=reached).pk, worker="w1", lease=LEASE)
    assert job is not None
    assert job.progress == {"phase": "claimed", "metrics": {"epoch": 3}, "checkpoint": {"epoch": 3}}


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
