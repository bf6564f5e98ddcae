from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from bucket.factory import get_bucket
from core.queue.app import app
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.files import attempt_prefix, checkpoint_prefix
from training.jobs.models import TrainingJob
from training.jobs.reconcile import sweep_files
from work import transitions
from work.queue import announce_lost, rescue

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = timedelta(seconds=60)
State = TrainingJob.State


@dataclass
class Report:
    rescued: dict[int, str]
    announced: int
    swept: int


def reconcile() -> Report:
    return Report(rescue(TrainingJob), announce_lost(TrainingJob), sweep_files())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the jobs that were announced."""
    jobs: list[int] = []
    monkeypatch.setattr(app, "send_task", lambda name, args, queue, **_: jobs.append(args[0]))
    return jobs


def abandoned() -> TrainingJob:
    job = transitions.claim(TrainingJobFactory(), worker="w1")
    assert job is not None
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    return job


def put_file(job: TrainingJob, attempt: int) -> str:
    key = f"{attempt_prefix(job, attempt)}model.onnx"
    get_bucket().save(key, BytesIO(b"abc"))
    return key


def test_job_of_a_dead_worker_is_queued_and_announced(sent: list[int]) -> None:
    job = abandoned()
    report = reconcile()
    assert report.rescued == {job.pk: "queued"}
    assert sent == [job.pk]


def test_reconciling_twice_changes_nothing(sent: list[int]) -> None:
    abandoned()
    reconcile()
    report = reconcile()
    assert (report.rescued, report.announced, report.swept) == ({}, 0, 0)


def test_files_of_dead_attempts_are_swept_and_the_models_kept(bucket: Path, sent: list[int]) -> None:
    job = abandoned()
    put_file(job, 1)
    assert reconcile().swept == 1
    second = transitions.claim(job, worker="w2")
    assert second is not None
    kept = put_file(job, 2)
    transitions.succeed(second, registered_model_id=RegisteredModelFactory(token=job.token).pk)
    assert reconcile().swept == 0
    assert [str(path.relative_to(bucket)) for path in bucket.glob("imageclassification/**/*.onnx")] == [kept]


def put_checkpoint(job: TrainingJob, attempt: int) -> Path:
    key = f"{checkpoint_prefix(job)}{attempt}/1.json"
    get_bucket().save(key, BytesIO(b'{"epoch": 3, "files": []}'))
    return Path(settings.BUCKET_FOLDER, key)


def test_checkpoint_of_a_dead_worker_stays_for_the_next_attempt(sent: list[int]) -> None:
    job = abandoned()
    checkpoint = put_checkpoint(job, 1)
    assert reconcile().rescued == {job.pk: "queued"}
    assert checkpoint.exists()


def test_checkpoint_of_a_job_that_is_cancelled_while_it_waits_is_swept(sent: list[int]) -> None:
    job = abandoned()
    checkpoint = put_checkpoint(job, 1)
    reconcile()
    assert transitions.cancel(job)
    assert reconcile().swept == 1
    assert not checkpoint.exists()
    assert reconcile().swept == 0


def test_checkpoint_of_a_job_whose_last_worker_died_is_swept(sent: list[int]) -> None:
    job = abandoned()
    TrainingJob.objects.filter(pk=job.pk).update(failures=2)
    checkpoint = put_checkpoint(job, 1)
    assert reconcile().rescued == {job.pk: "failed"}
    assert not checkpoint.exists()


def test_jobs_of_higher_priority_are_announced_first(sent: list[int]) -> None:
    first, urgent = TrainingJobFactory(), TrainingJobFactory(priority=5)
    reconcile()
    assert sent == [urgent.pk, first.pk]


def test_job_that_waits_for_room_is_announced_when_its_time_has_come(sent: list[int]) -> None:
    job = TrainingJobFactory(not_before=timezone.now() + timedelta(minutes=1))
    reconcile()
    assert sent == []
    TrainingJob.objects.filter(pk=job.pk).update(not_before=timezone.now())
    reconcile()
    assert sent == [job.pk]
