import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from bucket.factory import get_bucket
from control.models import PlatformStatus
from core.queue.app import app
from documents import keys
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory
from training.engine import process
from training.jobs.files import attempt_prefix
from training.jobs.models import TrainingJob
from training.worker import attempt
from training.worker.attempt import HopelessAttempt, delete_unpublished_files, fetch_dataset
from work import heartbeat, transitions
from work.stopping import worker_stops

from . import probe_trainer

pytestmark = pytest.mark.django_db(transaction=True)


def claimed_with_file() -> tuple[TrainingJob, str]:
    job = transitions.claim(TrainingJobFactory(), worker="w1")
    assert job is not None
    return job, put_file(job, 1)


def put_file(job: TrainingJob, attempt: int) -> str:
    key = f"{attempt_prefix(job, attempt)}model.onnx"
    get_bucket().save(key, BytesIO(b"abc"))
    return key


def test_files_of_a_failed_attempt_go(bucket: Path) -> None:
    job, name = claimed_with_file()
    delete_unpublished_files(job)
    assert not (bucket / name).exists()


def test_files_of_a_commit_whose_answer_was_lost_stay(bucket: Path) -> None:
    job, name = claimed_with_file()
    model = RegisteredModelFactory(token=job.token)
    transitions.succeed(job, registered_model_id=model.pk)
    delete_unpublished_files(job)
    assert (bucket / name).exists()


def test_files_of_an_attempt_that_another_one_overtook_go(bucket: Path) -> None:
    job, name = claimed_with_file()
    transitions.hand_back_or_fail(job, reason="killed")
    second = transitions.claim(job, worker="w2")
    assert second is not None
    kept = put_file(second, 2)
    transitions.succeed(second, registered_model_id=RegisteredModelFactory(token=job.token).pk)
    delete_unpublished_files(job)
    assert not (bucket / name).exists()
    assert (bucket / kept).exists()


def test_data_set_that_changed_in_the_bucket_is_not_trained_on(tmp_path: Path) -> None:
    dataset = DatasetFactory()
    get_bucket().save(dataset.key, BytesIO(b"something else"))
    with pytest.raises(HopelessAttempt, match="has changed"):
        fetch_dataset(dataset, tmp_path, lambda: None)


PATIENCE = 60.0  # seconds, on a machine that others use as well
State = TrainingJob.State


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """Let jobs be run by a trainer that counts epochs, in a real child process."""
    monkeypatch.setattr(process, "run_job", probe_trainer.run_job)
    monkeypatch.setattr(process, "PRELOADED", [])
    settings.TRAINYARD = {**settings.TRAINYARD, "CHECKPOINT_EVERY": timedelta(seconds=0.05)}
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    yield
    worker_stops.clear()


@pytest.fixture
def sent(probe: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the jobs that were announced."""
    jobs: list[int] = []
    monkeypatch.setattr(app, "send_task", lambda name, args, queue, **_: jobs.append(args[0]))
    return jobs


class Runner:
    """Runs one attempt at a job in a thread, as a worker does."""

    def __init__(self, job: TrainingJob) -> None:
        claimed = transitions.claim(job, worker="w1")
        assert claimed is not None
        self.job = claimed
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            attempt.TrainingAttempt(self.job).carry_out()
        finally:
            connection.close()

    def wait(self) -> TrainingJob:
        """Return the job when the attempt is over."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return TrainingJob.objects.get(pk=self.job.pk)

    def wait_for(self, what: str, holds: Callable[[TrainingJob], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds(job := TrainingJob.objects.get(pk=self.job.pk)):
            assert time.monotonic() < deadline, f"{what} did not happen: {job.state} {job.progress}"
            time.sleep(0.01)


def new_job(**fields: Any) -> TrainingJob:
    content = b"input,label\nhello,x\nbye,y\n"
    dataset = DatasetFactory(
        size=len(content),
        task_type="textclassification",
        key="training/datasets/1/dataset.csv",
        original_name="d.csv",
        columns={"input": "input", "label": "label"},
        sha256=sha256(content).hexdigest(),
    )
    get_bucket().save(dataset.key, BytesIO(content))
    return TrainingJobFactory(dataset=dataset, architecture="minilm", **fields)


def kept_epoch(job: TrainingJob) -> int:
    return int((job.progress.get("checkpoint") or {}).get("epoch", 0))


def first_epoch(job: TrainingJob) -> int:
    """The epoch with which the attempt that succeeded began."""
    assert job.registered_model is not None
    return int(job.registered_model.metrics["first_epoch"])


def files_of_jobs(bucket: Path) -> list[Path]:
    return [path for path in (bucket / "training" / "jobs").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("probe")
def test_uninterrupted_job_succeeds_and_leaves_no_checkpoint(bucket: Path) -> None:
    job = Runner(new_job()).wait()
    assert (job.state, first_epoch(job)) == (State.SUCCEEDED, 1)
    assert files_of_jobs(bucket) == []


@pytest.mark.usefixtures("probe")
def test_trainer_is_told_the_public_identifier_and_the_bucket_the_token(tmp_path: Path) -> None:
    job = new_job()
    told = json.dumps(attempt._request(job, tmp_path).to_json())
    assert str(job.public_id) in told
    assert job.token.rpartition("-")[2] not in told
    model = Runner(job).wait().registered_model
    assert model is not None
    assert model.public_id == job.public_id
    keys_found = set(model.artifacts.values_list("key", flat=True))
    assert keys_found == {f"{job.task_type}/{job.token}/1/{job.token}.{ending}" for ending in ("onnx", "pt")}


def test_maintenance_suspends_a_job_within_seconds_and_it_goes_on_later(
    bucket: Path, sent: list[int]
) -> None:
    job = new_job()
    runner = Runner(job)
    runner.wait_for("a checkpoint", lambda job: kept_epoch(job) >= 2)
    began = time.monotonic()
    PlatformStatus(dev_mode=True).save()
    job = runner.wait()
    assert time.monotonic() - began < 4, "2 s to notice, and the upload"
    assert (job.state, job.failures, job.registered_model) == (State.QUEUED, 0, None)
    epoch = kept_epoch(job)
    assert job.message == f"Suspended for maintenance at epoch {epoch} of {probe_trainer.EPOCHS}."
    assert files_of_jobs(bucket) != []
    assert not (bucket / keys.TRAINING).exists()
    assert sent == [], "nothing starts now"

    PlatformStatus(dev_mode=False).save()
    assert sent == [job.pk]
    job = Runner(job).wait()
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 0)
    assert first_epoch(job) == epoch + 1
    assert files_of_jobs(bucket) == []


def test_stopped_worker_uploads_its_checkpoint_and_lets_another_go_on(settings: Any, sent: list[int]) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "CHECKPOINT_EVERY": timedelta(minutes=10)}
    runner = Runner(new_job())
    runner.wait_for("an epoch", lambda job: job.progress.get("done", 0) >= 2)
    worker_stops.set()
    job = runner.wait()
    assert (job.state, job.failures) == (State.QUEUED, 0)
    assert kept_epoch(job) >= 2
    assert "its worker was stopped" in job.message
    assert sent == [job.pk]


@pytest.mark.usefixtures("probe")
def test_trainer_that_dies_is_a_failure_and_goes_on_from_its_checkpoint(bucket: Path) -> None:
    runner = Runner(new_job(seed=4))
    job = runner.wait()
    assert (job.state, job.failures) == (State.QUEUED, 1)
    assert "Queued again: the trainer died (exit code 9)" in job.message
    job = Runner(job).wait()
    assert job.state == State.SUCCEEDED
    assert first_epoch(job) > 1
    assert files_of_jobs(bucket) == []


@pytest.mark.usefixtures("probe")
def test_cancel_ends_a_training_job_within_three_seconds(bucket: Path) -> None:
    runner = Runner(new_job())
    runner.wait_for("a checkpoint", lambda job: kept_epoch(job) >= 1)
    began = time.monotonic()
    transitions.cancel(runner.job)
    job = runner.wait()
    assert time.monotonic() - began < 3
    assert job.state == State.CANCELLED
    assert files_of_jobs(bucket) == []


@pytest.mark.usefixtures("probe")
def test_job_that_an_administrator_takes_away_is_left_alone() -> None:
    runner = Runner(new_job())
    runner.wait_for("an epoch", lambda job: job.progress.get("done", 0) >= 1)
    assert transitions.requeue(runner.job, reason="Put back")
    job = runner.wait()
    assert (job.state, job.attempt, job.failures) == (State.QUEUED, 1, 0)


@pytest.mark.usefixtures("probe")
def test_time_limit_counts_all_attempts(settings: Any) -> None:
    job = new_job(spent=settings.TRAINYARD["JOB_DEADLINE"])
    job = Runner(job).wait()
    assert job.state == State.FAILED
    assert "took longer" in job.error
