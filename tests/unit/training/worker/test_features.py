from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bucket.factory import get_bucket
from tests.factories import DatasetFactory, TrainingJobFactory
from training.engine.feature_files import FEATURES, open_records, write_records
from training.engine.request import TrainingResult
from training.examples.models import Example, FeatureFile
from training.jobs.models import TrainingJob
from training.worker import features
from training.worker.features import fetch_features, keep_features

pytestmark = pytest.mark.django_db

FINGERPRINT = "f" * 64


@pytest.fixture
def job(settings: Any, tmp_path: Path, bucket: Path) -> TrainingJob:
    settings.HOME = tmp_path / "home"
    (tmp_path / "output").mkdir()
    return TrainingJobFactory(strategy="frozen")


def result(folder: Path, numbers: list[int], fingerprint: str = FINGERPRINT) -> TrainingResult:
    """Return the result of a training that has computed the features of some examples."""
    rows = np.arange(len(numbers))
    columns = {FEATURES: np.array(numbers, np.float32)[:, None]}
    write_records(folder / "output" / "features.npy", [f"{number:064x}" for number in numbers], columns, rows)
    return TrainingResult(1, [], {}, {}, "", {}, {}, features="features.npy", fingerprint=fingerprint)  # type: ignore[typeddict-item]


def fetched(job: TrainingJob, folder: Path) -> list[float]:
    folder.mkdir()
    sources = fetch_features(job, folder, lambda: None)
    assert {source.fingerprint for source in sources} <= {FINGERPRINT}
    return sorted(
        value for source in sources for value in open_records(Path(source.path))[FEATURES][:, 0].tolist()
    )


def name_examples(job: TrainingJob, numbers: list[int]) -> None:
    Example.objects.bulk_create(
        Example(project=job.project, shard=job.dataset, place=str(number), sha256=f"{number:064x}")
        for number in numbers
    )


def test_features_come_back_from_this_machine_or_the_bucket(job: TrainingJob, tmp_path: Path) -> None:
    name_examples(job, [1, 2, 3])
    keep_features(job, result(tmp_path, [1, 2]), tmp_path)
    keep_features(job, result(tmp_path, [3]), tmp_path)
    assert fetched(job, tmp_path / "one") == [1, 2, 3]
    for path in features.kept_folder().iterdir():
        path.unlink()
    assert fetched(job, tmp_path / "two") == [1, 2, 3]
    other = TrainingJobFactory(strategy="frozen", dataset=DatasetFactory())
    assert fetched(other, tmp_path / "three") == []


def test_training_of_the_whole_network_brings_none(job: TrainingJob, tmp_path: Path) -> None:
    name_examples(job, [1])
    keep_features(job, result(tmp_path, [1]), tmp_path)
    job.strategy = "finetune"
    assert fetched(job, tmp_path / "one") == []


def test_file_that_is_gone_costs_its_row_only(job: TrainingJob, tmp_path: Path) -> None:
    name_examples(job, [1, 2])
    for number in (1, 2):
        keep_features(job, result(tmp_path, [number]), tmp_path)
    row = FeatureFile.objects.first()
    assert row is not None
    get_bucket().delete(row.key)
    (features.kept_folder() / f"{row.sha256}.npy").unlink()
    assert fetched(job, tmp_path / "one") == [2]
    assert FeatureFile.objects.count() == 1


def test_many_files_become_one_of_what_examples_name(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "MOST_FILES", 2)
    name_examples(job, [1, 2, 4])
    Example.objects.filter(place="4").update(excluded=True)
    for numbers in ([1, 4], [2], [1]):
        keep_features(job, result(tmp_path, numbers), tmp_path)
    row = FeatureFile.objects.get()
    assert (row.examples, fetched(job, tmp_path / "one")) == (2, [1, 2])
    assert [key for key, _ in get_bucket().list("projects/")] == [row.key]


def test_files_of_which_half_is_unused_are_made_smaller(job: TrainingJob, tmp_path: Path) -> None:
    name_examples(job, [1])
    keep_features(job, result(tmp_path, [1, 2, 3]), tmp_path)
    assert fetched(job, tmp_path / "one") == [1]
