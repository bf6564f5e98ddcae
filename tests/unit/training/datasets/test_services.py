"""What is validated at once, and what is left to a worker."""

import io
import tarfile
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import TemporaryUploadedFile
from PIL import Image

from control.models import PlatformStatus
from core.exceptions import InvalidRequest, MaintenanceMode
from models_registry.inputs import UnclearColumns
from tests.factories import DatasetValidationFactory
from training.datasets import services
from training.datasets.deletion import delete_dataset
from training.datasets.files import DATASETS
from training.datasets.models import Dataset, DatasetValidation
from training.datasets.services import UnusableData, accept_dataset, create_dataset
from training.jobs.files import known_files

pytestmark = pytest.mark.django_db

IMAGES, TEXTS = "imageclassification", "textclassification"


@pytest.fixture(autouse=True)
def announced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    told: list[int] = []
    monkeypatch.setattr(services, "announce", lambda work: told.append(work.pk))
    return told


@pytest.fixture(autouse=True)
def small_bounds(settings: Any) -> None:
    """Let data sets be large that are small enough for a test."""
    settings.TRAINYARD = {
        **settings.TRAINYARD,
        "VALIDATE_IN_WEB_BYTES": 20_000,
        "VALIDATE_IN_WEB_FILES": 10,
        "VALIDATE_IN_WEB_FOR": timedelta(seconds=60),
    }


def photos(each: int, classes: str = "ab", name: str = "photos.zip") -> ContentFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label in classes:
            for number in range(each):
                image = io.BytesIO()
                Image.new("RGB", (8, 8), (number % 256, ord(label), number // 256)).save(image, "PNG")
                archive.writestr(f"{label}/{number}.png", image.getvalue())
    return ContentFile(buffer.getvalue(), name=name)


def table(rows: int, heading: str = "input,label", label: str = "") -> ContentFile:
    lines = [heading, *(f"sentence number {number},{label or 'ab'[number % 2]}" for number in range(rows))]
    return ContentFile("\n".join(lines).encode(), name="sentences.csv")


def accept(file: ContentFile, task: str = IMAGES, **more: Any) -> Dataset:
    return accept_dataset(owner=None, name="Data", task_type=task, file=file, **more)


def files_in(bucket: Path) -> list[str]:
    return [str(path.relative_to(bucket)) for path in bucket.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("file", "task"), [(photos(5), IMAGES), (table(100), TEXTS)])
def test_small_data_is_ready_at_once(file: ContentFile, task: str, announced: list[int]) -> None:
    dataset = accept(file, task)
    assert (dataset.state, dataset.classes) == (Dataset.State.READY, ["a", "b"])
    assert dataset.report["examples"] == dataset.examples
    assert not DatasetValidation.objects.exists()
    assert announced == []


@pytest.mark.parametrize(("file", "task"), [(photos(6), IMAGES), (table(1_000), TEXTS)])
def test_large_data_is_kept_as_it_came_and_left_to_a_worker(
    file: ContentFile,
    task: str,
    bucket: Path,
    announced: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        dataset = accept(file, task)
    assert (dataset.state, dataset.classes, dataset.examples) == (Dataset.State.VALIDATING, [], 0)
    file.seek(0)
    assert (bucket / dataset.key).read_bytes() == file.read()
    assert dataset.size == file.size
    assert announced == [dataset.validation.pk]
    assert dict(known_files(DATASETS).files) == {dataset.key: dataset.size}


def test_data_that_takes_long_although_it_is_small_is_left_to_a_worker(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_FOR": timedelta()}
    dataset = accept(photos(2))
    assert dataset.state == Dataset.State.VALIDATING
    assert (dataset.size, dataset.classes, dataset.report) == (photos(2).size, [], {})


def test_data_from_a_shell_is_validated_at_once_however_large() -> None:
    dataset = create_dataset(owner=None, name="Data", task_type=IMAGES, file=photos(6))
    assert (dataset.state, dataset.examples) == (Dataset.State.READY, 12)


@pytest.mark.parametrize(
    "file",
    [
        ContentFile(b"no zip at all" * 5_000, name="large.zip"),
        ContentFile(b"PK\5\6", name="short.zip"),
        ContentFile(b"", name="empty.zip"),
    ],
)
def test_what_is_no_zip_is_refused_at_once(file: ContentFile, bucket: Path) -> None:
    with pytest.raises(InvalidRequest, match="not a zip"):
        accept(file)
    assert not Dataset.objects.exists()
    assert files_in(bucket) == []


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("task", ["", "textclassification"])
def test_tar_of_tables_is_one_of_texts(task: str, mode: str) -> None:
    content, rows = io.BytesIO(), table(24).read()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, inside in (("data/README", b"Rows."), ("data/train.csv", rows)):
            info = tarfile.TarInfo(name)
            info.size = len(inside)
            archive.addfile(info, io.BytesIO(inside))
    file = ContentFile(content.getvalue(), name="texts.tar.gz" if mode == "w:gz" else "texts.tar")
    dataset = accept(file, task)
    assert (dataset.task_type, dataset.state) == ("textclassification", Dataset.State.READY)
    assert sum(dataset.report["classes"].values()) == 24


def test_columns_of_a_large_table_are_asked_for_at_once(bucket: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        accept(table(1_000, heading="words,kind", label="the same"), TEXTS)
    assert isinstance(caught.value.__cause__, UnclearColumns)
    assert files_in(bucket) == []
    chosen = {"input": "words", "label": "kind"}
    assert accept(table(1_000, heading="words,kind"), TEXTS, columns=chosen).columns == chosen


def test_small_data_that_cannot_be_used_is_reported_at_once(bucket: Path) -> None:
    with pytest.raises(UnusableData):
        accept(photos(3, classes="a"))
    assert not Dataset.objects.exists()
    assert files_in(bucket) == []


def test_nothing_is_accepted_during_maintenance() -> None:
    PlatformStatus.load()
    PlatformStatus.objects.update(dev_mode=True)
    with pytest.raises(MaintenanceMode):
        accept(photos(6))


def test_a_row_that_cannot_be_written_leaves_no_file(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(DatasetValidation.objects, "create", fail)
    with pytest.raises(OSError, match="no room"):
        accept(photos(6))
    assert not Dataset.objects.exists()
    assert files_in(bucket) == []


def test_deleting_takes_the_validation_with_it() -> None:
    dataset = accept(photos(6))
    delete_dataset(dataset=dataset)
    assert not DatasetValidation.objects.exists()


def test_files_of_unusable_data_are_unknown_once_they_are_deleted() -> None:
    kept = DatasetValidationFactory(dataset__key="training/datasets/kept/dataset.zip")
    DatasetValidationFactory(dataset__key="training/datasets/gone/dataset.zip", swept=True)
    assert list(known_files(DATASETS).files) == [kept.dataset.key]


def test_an_upload_on_the_disk_is_not_copied(settings: Any) -> None:
    content = table(20).read()
    with TemporaryUploadedFile("table.csv", "text/csv", len(content), None) as file:
        file.write(content)
        file.seek(0)
        with services.arrived(file, task_type="textclassification") as path:
            assert path.samefile(file.temporary_file_path())
            assert path.read_bytes() == content
        assert Path(file.temporary_file_path()).exists()
        settings.TRAINYARD = settings.TRAINYARD | {"MAX_DATASET_BYTES": len(content) - 1}
        with (
            pytest.raises(InvalidRequest, match="larger than"),
            services.arrived(file, task_type="textclassification"),
        ):
            pass
