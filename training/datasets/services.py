"""What people do with data sets: hand one in, delete it."""

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages
from django.db import IntegrityError
from django.db.models import ProtectedError

from control.selectors import require_operation
from core.exceptions import InvalidRequest
from core.models import check_fields
from models_registry.models import TaskType

from ..data import TABLE_SUFFIXES, DataError, DataReport, build_report
from ..files import dataset_key
from ..models import Dataset

logger = structlog.get_logger(__name__)

SUFFIXES = {TaskType.IMAGE: (".zip",), TaskType.TEXT: TABLE_SUFFIXES}


class UnusableData(InvalidRequest):
    """A data set that was read and cannot be trained on; its `report` says what there is and what to mend."""

    def __init__(self, report: DataReport) -> None:
        super().__init__(" ".join(report.problems))
        self.report = report


def create_dataset(
    *,
    owner: Any,
    name: str,
    task_type: str,
    file: File,
    columns: dict[str, str] | None = None,
    identifier: str | None = None,
) -> Dataset:
    """Validate an upload and keep it in the bucket. Raises `InvalidRequest` with what to mend.

    `columns` of a table are recognised by their usual names where none are given. `identifier` is for
    a data set that is made again after a crash and must then lie in the same place; None makes one.
    """
    with _arrived(file, task_type=task_type) as path:
        try:
            report = build_report(path, task_type=task_type, columns=columns or {})
        except DataError as error:
            raise InvalidRequest(str(error)) from error
        if report.problems:
            raise UnusableData(report)
        dataset = Dataset(
            name=name,
            owner=owner,
            task_type=task_type,
            key=dataset_key(identifier or uuid.uuid4().hex, path.suffix),
            original_name=Path(file.name or "").name[:255],
            size=report.bytes,
            sha256=report.sha256,
            columns=report.columns,
            classes=list(report.classes),
            examples=report.examples,
            report=report.to_json(),
        )
        check_fields(dataset, exclude=["owner"])
        _keep(dataset, path)
    logger.info("dataset.created", dataset=dataset.pk, bytes=dataset.size, classes=len(dataset.classes))
    return dataset


def discard_dataset(dataset: Dataset) -> None:
    """Forget a data set that no job uses; a file that cannot be deleted now is only an orphan."""
    dataset.delete()
    with contextlib.suppress(Exception):  # whichever storage, whatever it raises
        storages["default"].delete(dataset.key)


def delete_dataset(*, dataset: Dataset) -> None:
    """Delete a data set for good. Raises `InvalidRequest` when jobs were made of it: they tell where from."""
    try:
        discard_dataset(dataset)
    except (ProtectedError, IntegrityError) as error:  # the latter for a job that came in meanwhile
        raise InvalidRequest(
            f"{dataset.name} was used by jobs, whose pages show it, so it is kept."
        ) from error


@contextlib.contextmanager
def _arrived(file: File, *, task_type: str) -> Iterator[Path]:
    """Copy an upload to where readers can open it, for as long as it is looked at.

    Every data set comes through here, whichever way it was sent. Raises `MaintenanceMode`, and
    `InvalidRequest` for a file of another kind or with more bytes than a data set may have.
    """
    require_operation()
    suffix = Path(file.name or "").suffix.lower()
    expected = SUFFIXES[TaskType(task_type)]
    if suffix not in expected:
        raise InvalidRequest(f"{file.name or 'The file'} is not a {' or '.join(expected)} file.")
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder) / f"dataset{suffix}"
        _copy_bounded(file, path, settings.TRAINYARD["MAX_DATASET_BYTES"])
        yield path


def _copy_bounded(file: File, path: Path, limit: int) -> None:
    """Copy an upload, counting the bytes that really arrive."""
    copied = 0
    with path.open("wb") as target:
        for chunk in file.chunks(1 << 20):
            copied += len(chunk)
            if copied > limit:
                raise InvalidRequest(f"The file is larger than the {limit:,} bytes that a data set may have.")
            target.write(chunk)


def _keep(dataset: Dataset, path: Path) -> None:
    """Put a data set's file into the bucket and its row into the table: both, or neither."""
    storage = storages["default"]
    try:
        with path.open("rb") as source:
            storage.save(dataset.key, File(source, name=dataset.key))
        dataset.save()
    except BaseException:
        if not Dataset.objects.filter(key=dataset.key).exists():  # else somebody made the same one meanwhile
            with contextlib.suppress(Exception):  # whichever storage, whatever it raises
                storage.delete(dataset.key)
        raise
