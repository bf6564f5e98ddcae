"""What a worker does with a data set that waits, and what is left when it dies; the reader is a real process."""

import gzip
import hashlib
import io
import os
import signal
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from bucket.folder import FolderBucket
from control.models import PlatformStatus
from core.exceptions import BucketError
from tests.factories import TrainingJobFactory
from tests.unit.training.datasets.test_services import IMAGES, TEXTS, photos, table
from training.datasets import attempts, deletion, services
from training.datasets.attempts import ValidationAttempt
from training.datasets.files import repacked_key
from training.datasets.models import Dataset, DatasetValidation
from training.datasets.process import ValidationProcess
from training.datasets.reconcile import sweep_unusable_datasets
from training.datasets.services import accept_dataset
from training.engine.data.validation_events import ExamplesRead
from training.jobs.models import TrainingJob
from work import attempt as work_attempt
from work import heartbeat, queue
from work.models import State
from work.stopping import worker_stops

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def announced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    told: list[int] = []
    for place in (services, work_attempt, queue):
        monkeypatch.setattr(place, "announce", lambda work: told.append(work.pk) or True)
    return told


@pytest.fixture(autouse=True)
def everything_is_large(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HOME = tmp_path
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 0, "VALIDATE_IN_WEB_FILES": 0}
    monkeypatch.setattr(heartbeat, "EVERY", 0.05)


@pytest.fixture
def slow_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A reader that reads one example and then waits to be killed; the event is set when it has begun."""
    reads = threading.Event()

    def events(process: ValidationProcess, *, pause: float) -> Iterator[ExamplesRead | None]:
        os.kill(process.pid, signal.SIGSTOP)
        yield ExamplesRead(1, 12)
        reads.set()
        while True:
            time.sleep(0.02)
            yield None

    monkeypatch.setattr(ValidationProcess, "events", events)
    yield reads


def waiting(file: Any = None, task: str = IMAGES) -> Dataset:
    dataset = accept_dataset(owner=None, name="Data", task_type=task, file=file or photos(6))
    assert dataset.state == Dataset.State.VALIDATING
    return dataset


def run_next() -> Dataset:
    validation = ValidationAttempt.claim_next(worker="w", queue="batches")
    assert validation is not None
    ValidationAttempt(validation).carry_out()
    return Dataset.objects.select_related("validation").get(pk=validation.dataset_id)


def in_background() -> threading.Thread:
    validation = ValidationAttempt.claim_next(worker="w", queue="batches")
    assert validation is not None

    def run() -> None:
        from django.db import connection

        try:
            ValidationAttempt(validation).carry_out()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def files_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("file", "task"), [(photos(6), IMAGES), (table(12), TEXTS)])
def test_data_becomes_ready_with_the_report_of_a_small_one(file: Any, task: str, tmp_path: Path) -> None:
    waiting(file, task)
    found = run_next()
    small = services.create_dataset(owner=None, name="Data", task_type=task, file=file)
    assert found.state == Dataset.State.READY
    for field in ("classes", "examples", "report", "columns", "size", "sha256"):
        assert getattr(found, field) == getattr(small, field)
    assert (found.validation.state, found.validation.attempt) == (State.SUCCEEDED, 1)
    assert (found.validation.done, ValidationAttempt.claim_next(worker="w", queue="batches")) == (12, None)
    assert files_in(tmp_path / "jobs") == []


def test_tar_too_large_for_a_web_process_is_repacked_by_the_worker(bucket: Path) -> None:
    arrived = waiting(tarred(photos(6)))
    assert files_in(bucket) == [arrived.key]
    found = run_next()
    assert (found.state, found.classes, found.examples) == (Dataset.State.READY, ["a", "b"], 12)
    assert found.key != arrived.key
    assert files_in(bucket) == [found.key]
    content = (bucket / found.key).read_bytes()
    assert (found.size, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    with zipfile.ZipFile(bucket / found.key) as archive:
        assert len(archive.namelist()) == 12


@pytest.mark.parametrize("classes", ["ab", "a"])
def test_what_a_killed_attempt_has_left_in_the_bucket_goes(bucket: Path, classes: str) -> None:
    arrived = waiting(tarred(photos(6, classes=classes)))
    (bucket / repacked_key(arrived.key, 1)).write_bytes(b"it was killed before its row had this key")
    other = bucket / "training" / "datasets" / "another" / "dataset.zip"
    other.parent.mkdir()
    other.write_bytes(b"of another data set")
    DatasetValidation.objects.update(attempt=1, done=7, total=12)
    again = ValidationAttempt.claim_next(worker="w", queue="batches")
    assert again is not None
    assert (again.attempt, again.done, again.total) == (2, 0, 0)
    ValidationAttempt(again).carry_out()
    found = Dataset.objects.get()
    kept = {found.key} if found.state == Dataset.State.READY else set()
    assert len(kept) == len(classes) - 1
    assert set(files_in(bucket)) == {str(other.relative_to(bucket)), *kept}
    deletion.delete_dataset(dataset=found)
    assert other.exists()


def test_tar_that_cannot_be_read_is_unusable_with_the_reason(bucket: Path) -> None:
    whole = tarred(photos(6)).read()
    waiting(ContentFile(gzip.compress(gzip.decompress(whole)[:4000]), name="photos.tar.gz"))
    found = run_next()
    assert (found.state, files_in(bucket)) == (Dataset.State.UNUSABLE, [])
    assert "tar archive cannot be read" in found.reason


def tarred(photos: Any) -> ContentFile:
    """Return the files of a zip as a tar.gz."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(photos) as source, tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for name in source.namelist():
            info = tarfile.TarInfo(name)
            info.size = len(source.read(name))
            target.addfile(info, io.BytesIO(source.read(name)))
    return ContentFile(buffer.getvalue(), name="photos.tar.gz")


def test_data_with_problems_is_unusable_and_its_file_goes(bucket: Path) -> None:
    waiting(photos(6, classes="a"))
    found = run_next()
    assert found.state == Dataset.State.UNUSABLE
    assert found.reason.startswith("There is only one class")
    assert found.report["problems"] == [found.reason]
    assert (found.validation.state, found.validation.swept) == (State.FAILED, True)
    assert files_in(bucket) == []


def test_data_that_cannot_be_read_is_unusable_with_the_reason() -> None:
    broken = photos(6)
    content = broken.read().replace(b"a/3.png", b"../x.pn")
    broken = ContentFile(content, name="photos.zip")
    waiting(broken)
    found = run_next()
    assert found.state == Dataset.State.UNUSABLE
    assert "points outside the archive" in found.reason
    assert found.report == {}


def test_data_that_takes_more_memory_than_allowed_ends_the_reader_alone(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATION_MEMORY_BYTES": 1}
    rows = [f"{number:06}{'x' * 900},{'ab'[number % 2]}" for number in range(20_000)]
    waiting(ContentFile("\n".join(["input,label", *rows]).encode(), name="long.csv"), TEXTS)
    assert "more than 0 MB of memory" in run_next().reason


def test_data_that_takes_too_long_is_unusable(settings: Any, slow_reader: threading.Event) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATION_DEADLINE": timedelta(seconds=0.2)}
    waiting()
    assert "took longer" in run_next().reason


def test_file_that_changed_in_the_bucket_is_not_trained_on(bucket: Path) -> None:
    dataset = waiting()
    (bucket / dataset.key).write_bytes(b"another file")
    assert "not what was uploaded" in run_next().reason


def test_reader_that_dies_is_tried_again_until_nobody_does(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(process: ValidationProcess, *, pause: float) -> Iterator[None]:
        os.kill(process.pid, signal.SIGKILL)
        yield from ()

    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_ATTEMPTS": 2}
    with monkeypatch.context() as patch:
        patch.setattr(ValidationProcess, "events", die)
        waiting()
        first = run_next()
        assert (first.state, first.validation.failures) == (Dataset.State.VALIDATING, 1)
        again = run_next()
    assert again.state == Dataset.State.UNUSABLE
    assert again.reason == "Gave up after 2 failed attempts: the process that reads it died (signal 9)"


def test_bucket_that_is_away_costs_an_attempt_and_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise BucketError("The bucket does not answer")

    waiting()
    with monkeypatch.context() as patch:
        patch.setattr(attempts, "download", away)
        found = run_next()
    assert (found.state, found.validation.failures) == (Dataset.State.VALIDATING, 1)
    assert run_next().state == Dataset.State.READY


def test_data_of_a_dead_worker_is_taken_over_and_the_dead_ones_outcome_is_not_taken() -> None:
    waiting()
    dead = ValidationAttempt.claim_next(worker="dead", queue="batches")
    assert dead is not None
    DatasetValidation.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert queue.rescue(DatasetValidation)
    found = run_next()
    assert (found.state, found.validation.attempt, found.validation.failures) == (Dataset.State.READY, 2, 1)
    before = DatasetValidation.objects.values().get()
    ValidationAttempt(dead).carry_out()  # it was only asleep
    assert DatasetValidation.objects.values().get() == before


def test_data_that_is_deleted_stops_its_reader(
    slow_reader: threading.Event, bucket: Path, tmp_path: Path
) -> None:
    dataset = waiting()
    thread = in_background()
    assert slow_reader.wait(20)
    deletion.delete_dataset(dataset=dataset)
    thread.join(20)
    assert not thread.is_alive()
    assert files_in(tmp_path / "jobs") == []
    assert files_in(bucket) == []
    assert not DatasetValidation.objects.exists()


def test_data_whose_file_is_deleted_stops_its_reader_and_never_becomes_ready(
    slow_reader: threading.Event, bucket: Path
) -> None:
    dataset = waiting()
    TrainingJobFactory(dataset=dataset, state=TrainingJob.State.CANCELLED, finished_at=timezone.now())
    thread = in_background()
    assert slow_reader.wait(20)
    deletion.delete_dataset(dataset=dataset)
    thread.join(20)
    assert not thread.is_alive()
    dataset.refresh_from_db()
    assert dataset.state == Dataset.State.UNUSABLE
    assert DatasetValidation.objects.get().swept
    assert not (bucket / dataset.key).exists()


@pytest.mark.parametrize("cause", ["maintenance", "worker stops"])
def test_validation_makes_room_and_goes_on_later(
    cause: str, slow_reader: threading.Event, announced: list[int]
) -> None:
    dataset = waiting()
    thread = in_background()
    try:
        assert slow_reader.wait(20)
        announced.clear()
        if cause == "maintenance":
            PlatformStatus.load()
            PlatformStatus.objects.update(dev_mode=True)
        else:
            worker_stops.set()
        thread.join(20)
    finally:
        worker_stops.clear()
    assert not thread.is_alive()
    validation = DatasetValidation.objects.get()
    assert (validation.state, validation.failures, validation.done) == (State.QUEUED, 0, 1)
    assert announced == ([] if cause == "maintenance" else [validation.pk])
    if cause == "maintenance":
        assert ValidationAttempt.claim_next(worker="w", queue="batches") is None
    dataset.refresh_from_db()
    assert dataset.state == Dataset.State.VALIDATING


def test_jobs_wait_for_the_data_and_go_on_with_it(announced: list[int]) -> None:
    dataset = waiting()
    job = TrainingJobFactory(dataset=dataset)
    assert not TrainingJob.objects.startable(timezone.now()).exists()
    announced.clear()
    run_next()
    assert announced == [job.pk]
    assert list(TrainingJob.objects.startable(timezone.now())) == [job]


def test_jobs_end_with_the_data_that_they_waited_for() -> None:
    job = TrainingJobFactory(dataset=waiting(photos(6, classes="a")))
    run_next()
    job.refresh_from_db()
    assert job.state == TrainingJob.State.FAILED
    assert job.error.startswith("The data cannot be trained on. There is only one class")


def test_file_of_unusable_data_that_could_not_be_deleted_is_later(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(bucket: FolderBucket, key: str) -> None:
        raise BucketError("no bucket")

    waiting(photos(6, classes="a"))
    with monkeypatch.context() as patch:
        patch.setattr(FolderBucket, "delete_folder", away)
        assert not run_next().validation.swept
    assert len(files_in(bucket)) == 1
    sweep_unusable_datasets()
    assert files_in(bucket) == []
    assert DatasetValidation.objects.get().swept
