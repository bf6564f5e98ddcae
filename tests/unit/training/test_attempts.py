from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory
from training import transitions
from training.attempts import HopelessAttempt, delete_unpublished_files, fetch_dataset
from training.files import attempt_prefix
from training.models import TrainingJob

pytestmark = pytest.mark.django_db(transaction=True)


def claimed_with_file() -> tuple[TrainingJob, str]:
    job = transitions.claim(TrainingJobFactory().pk, worker="w1", lease=timedelta(minutes=1))
    assert job is not None
    name = storages["default"].save(f"{attempt_prefix(job, job.attempt)}model.onnx", ContentFile(b"abc"))
    return job, name


def test_files_of_a_failed_attempt_go(bucket: Path) -> None:
    job, name = claimed_with_file()
    delete_unpublished_files(job)
    assert not (bucket / name).exists()


def test_files_of_a_commit_whose_answer_was_lost_stay(bucket: Path) -> None:
    job, name = claimed_with_file()
    model = RegisteredModelFactory(token=job.token)
    transitions.succeed(job.pk, attempt=job.attempt, model_id=model.pk)
    delete_unpublished_files(job)
    assert (bucket / name).exists()


def test_files_of_an_attempt_that_another_one_overtook_go(bucket: Path) -> None:
    job, name = claimed_with_file()
    transitions.hand_back(job.pk, attempt=1, reason="killed", max_attempts=3)
    second = transitions.claim(job.pk, worker="w2", lease=timedelta(minutes=1))
    assert second is not None
    kept = storages["default"].save(f"{attempt_prefix(second, 2)}model.onnx", ContentFile(b"abc"))
    transitions.succeed(job.pk, attempt=2, model_id=RegisteredModelFactory(token=job.token).pk)
    delete_unpublished_files(job)
    assert not (bucket / name).exists()
    assert (bucket / kept).exists()


def test_data_set_that_changed_in_the_bucket_is_not_trained_on(tmp_path: Path) -> None:
    dataset = DatasetFactory()
    storages["default"].save(dataset.key, ContentFile(b"something else"))
    with pytest.raises(HopelessAttempt, match="has changed"):
        fetch_dataset(dataset, tmp_path)
