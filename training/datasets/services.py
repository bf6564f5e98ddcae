"""What people do with data sets: hand one in. How one goes stands in `deletion`."""

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import transaction
from django.db.models import Count, Sum

from accounts.models import User
from accounts.quota import Kept, require_room, take_room
from bucket.factory import get_bucket
from bucket.kept_files import link_or_copy
from control.selectors import require_operation
from core.exceptions import BucketError, InvalidRequest
from core.models import check_fields
from models_registry.inputs import (
    TAR_SUFFIXES,
    Corrections,
    Limits,
    NeedsMoreRoom,
    Room,
    holds_photos,
    holds_tables,
    is_photo,
    is_tar,
    repack,
    tar_holds_tables,
)
from models_registry.models import TaskType
from work.queue import announce

from ..engine.data import TABLE_SUFFIXES, DataError, DataReport, Progress, build_report
from .files import dataset_key, delete_files, hash_file
from .models import Dataset, DatasetValidation
from .size import Patience, TakesTooLong, has_many_entries, is_large

logger = structlog.get_logger(__name__)

SUFFIXES = {TaskType.IMAGE: (".zip", *TAR_SUFFIXES), TaskType.TEXT: (*TABLE_SUFFIXES, ".zip")}
OF_PHOTOS_TOO = (".parquet",)  # by their ending a table's, and of photos where these are asked for or in it


class UnusableData(InvalidRequest):
    """A data set that was read and cannot be trained on; its `report` says what there is and what to mend."""

    def __init__(self, report: DataReport) -> None:
        super().__init__(" ".join(report.problems))
        self.report = report


def create_dataset(
    *,
    owner: User | None,
    name: str,
    task_type: str,
    file: File,
    columns: dict[str, str] | None = None,
    corrections: Corrections | None = None,
    identifier: str | None = None,
) -> Dataset:
    """Validate an upload and keep it in the bucket. Raises `InvalidRequest` with what to mend.

    `columns` of a table are recognised by their usual names where none are given, neither here nor in the
    `corrections`, which hold against what else would be guessed. `identifier` is for
    a data set that is made again after a crash and must then lie in the same place; None makes one.
    """
    with _arrived(file, owner=owner, task_type=task_type) as path:
        path = as_zip(path, task_type=task_type)
        dataset = _described(file, path, owner=owner, name=name, task_type=task_type, identifier=identifier)
        _correct(dataset, columns, corrections)
        _read_now(dataset, path)
        _keep(dataset, path)
    return dataset


def accept_dataset(
    *,
    owner: User | None,
    name: str,
    task_type: str = "",
    file: File,
    columns: dict[str, str] | None = None,
    corrections: Corrections | None = None,
) -> Dataset:
    """Keep an upload without keeping a web process: only what is small is validated at once.

    Another one is kept as it came, and its state is `VALIDATING` until a worker has read it. A file says for which
    task it is where `task_type` does not. Raises `InvalidRequest` with what to mend, as far as that is found out at
    once.
    """
    with _arrived(file, owner=owner, task_type=task_type or require_task(file.name or "")) as path:
        task_type, path = (task_type, path) if task_type else sorted_out(path)
        dataset = _described(file, path, owner=owner, name=name, task_type=task_type)
        said = _correct(dataset, columns, corrections)
        try:
            path = as_small_zip(path, task_type=task_type)
            if not is_large(path, columns=dataset.columns, corrections=said):
                _read_now(dataset, path, progress=Patience())
                _keep(dataset, path)
                return dataset
        except (TakesTooLong, NeedsMoreRoom):
            logger.info("dataset.takes_long", bytes=path.stat().st_size)
        except DataError as error:
            raise InvalidRequest(str(error)) from error
        dataset.state = Dataset.State.VALIDATING
        dataset.size, dataset.sha256 = path.stat().st_size, hash_file(path)
        _keep(dataset, path)
    return dataset


def require_ready(dataset: Dataset) -> None:
    """Raise `InvalidRequest` for a data set that cannot be trained on, or not yet."""
    if dataset.state == Dataset.State.VALIDATING:
        raise InvalidRequest(f"{dataset.name} is still being checked. Start the training when it is ready.")
    if dataset.state == Dataset.State.UNUSABLE:
        raise InvalidRequest(f"{dataset.name} cannot be trained on. {dataset.reason}")


def kept_datasets(owner_id: int | None) -> Kept:
    """Tell what an account's data sets take; those that turned out to be unusable have no file."""
    kept = Dataset.objects.filter(owner_id=owner_id).exclude(state=Dataset.State.UNUSABLE)
    total = kept.aggregate(count=Count("pk"), bytes=Sum("size", default=0))
    return Kept(
        "Data sets", total["count"], total["bytes"], "training:datasets", "Delete those you do not need."
    )


def discard_dataset(dataset: Dataset) -> None:
    """Forget a data set that no job uses; a file that cannot be deleted now is only an orphan."""
    dataset.delete()
    with contextlib.suppress(BucketError):
        delete_files(dataset.key)


def suffixes_of(task_type: TaskType) -> tuple[str, ...]:
    """Return the endings of the files that are read for a task."""
    return SUFFIXES[task_type] + (OF_PHOTOS_TOO if task_type == TaskType.IMAGE else TAR_SUFFIXES)


def task_of(filename: str) -> TaskType | None:
    """Return the task that a file's ending is for; None for any other file."""
    name = filename.lower()
    return next((task for task, suffixes in SUFFIXES.items() if name.endswith(suffixes)), None)


def require_task(filename: str) -> TaskType:
    """Return the task that a file's ending is for. Raises `InvalidRequest` for any other file."""
    task = task_of(filename)
    if task is None:
        raise InvalidRequest(why_no_data(filename))
    return task


def why_no_data(filename: str, expected: Sequence[str] = ()) -> str:
    """Return why a file of another kind is no data set, and what to do; `expected` are the endings (default: all)."""
    suffix = Path(filename).suffix.lower()
    if suffix in (".7z", ".rar"):
        return f"{filename} is an archive of a kind that is not read. Unpack it, zip the folders and send the zip."
    if is_photo(filename):
        return (
            f"{filename} is a single image. Put the images of each class into a folder, and zip the folders."
        )
    kinds = expected or dict.fromkeys(one for suffixes in SUFFIXES.values() for one in suffixes)
    return f"{filename or 'The file'} is not a {' or '.join(kinds)} file."


def sorted_out(path: Path) -> tuple[TaskType, Path]:
    """Return which task a file that has arrived is for, by its ending and what is in it, and where it lies now."""
    if path.suffix in OF_PHOTOS_TOO and holds_photos(path):
        return TaskType.IMAGE, path.rename(path.with_suffix(".zip"))
    if path.suffix == ".zip" and holds_tables(path, Limits()):
        return TaskType.TEXT, path
    if is_tar(path) and tar_holds_tables(path):
        return TaskType.TEXT, path
    return require_task(path.name), path


@contextlib.contextmanager
def _arrived(file: File, *, owner: User | None, task_type: str) -> Iterator[Path]:
    """Copy an upload to where readers can open it, for as long as it is looked at.

    Every data set that is kept comes through here, whichever way it was sent. Raises what `arrived` raises, and
    `QuotaExceeded`.
    """
    with arrived(file, task_type=task_type) as path:
        require_room(owner, path.stat().st_size)  # so that nobody waits for the report of what cannot be kept
        yield path


@contextlib.contextmanager
def arrived(file: File, *, task_type: str) -> Iterator[Path]:
    """Copy an upload to where readers can open it, whether it is kept later or not.

    Raises `MaintenanceMode`, and `InvalidRequest` for a file of another kind or with more bytes than a data set may
    have.
    """
    require_operation()
    expected = suffixes_of(TaskType(task_type))
    if not (file.name or "").lower().endswith(expected):
        raise InvalidRequest(why_no_data(file.name or "", expected))
    is_image = task_type == TaskType.IMAGE
    suffix = ".zip" if is_image else Path(file.name or "").suffix.lower()
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder) / f"dataset{suffix}"
        _copy_bounded(file, path, settings.TRAINYARD["MAX_DATASET_BYTES"])
        yield path


def as_zip(path: Path, *, task_type: str) -> Path:
    """Return an archive of images, or a tar of tables, as a plain zip in its place. Raises `InvalidRequest`."""
    try:
        return _repacked(path, None) if task_type == TaskType.IMAGE or is_tar(path) else path
    except DataError as error:
        raise InvalidRequest(str(error)) from error


def as_small_zip(path: Path, *, task_type: str) -> Path:
    """Do the same for what a web process may write; a large zip is left as it is, for a worker to look at.

    Raises `DataError`, and `NeedsMoreRoom` for what a worker has to repack.
    """
    if has_many_entries(path) or not (task_type == TaskType.IMAGE or is_tar(path)):
        return path
    limits = settings.TRAINYARD
    return _repacked(path, Room(limits["VALIDATE_IN_WEB_BYTES"], limits["VALIDATE_IN_WEB_FILES"]))


def _repacked(path: Path, room: Room | None) -> Path:
    target = path.with_name("repacked.zip")
    limits = Limits()
    most = min(settings.TRAINYARD["MAX_DATASET_BYTES"], limits.max_bytes)
    if not repack(path, target, replace(limits, max_bytes=most), room):
        return path
    path.unlink()
    return target


def _copy_bounded(file: File, path: Path, limit: int) -> None:
    """Copy an upload, counting the bytes that really arrive; one that lies on the disk gets a second name instead."""
    if isinstance(file, TemporaryUploadedFile) and Path(file.temporary_file_path()).stat().st_size <= limit:
        link_or_copy(Path(file.temporary_file_path()), path)
        return
    copied = 0
    with path.open("wb") as target:
        for chunk in file.chunks(1 << 20):
            copied += len(chunk)
            if copied > limit:
                raise InvalidRequest(f"The file is larger than the {limit:,} bytes that a data set may have.")
            target.write(chunk)


def _described(
    file: File, path: Path, *, owner: User | None, name: str, task_type: str, identifier: str | None = None
) -> Dataset:
    """Return the row of an upload of which nothing is known yet but where it comes from and will lie."""
    return Dataset(
        name=name,
        owner=owner,
        task_type=task_type,
        key=dataset_key(identifier or uuid.uuid4().hex, path.suffix),
        original_name=Path(file.name or "").name[:255],
        examples=0,
    )


def _correct(
    dataset: Dataset, columns: dict[str, str] | None, corrections: Corrections | None
) -> Corrections:
    """Note what was said of a data set; returns the corrections."""
    said = corrections or Corrections()
    is_text = dataset.task_type == TaskType.TEXT
    dataset.columns = {**said.columns, **(columns or {})} if is_text else {}
    dataset.corrections = said.to_json()
    return said


def _read_now(dataset: Dataset, path: Path, *, progress: Progress | None = None) -> None:
    """Validate an upload in this process. Raises `InvalidRequest` with what to mend."""
    try:
        report = build_report(
            path,
            task_type=dataset.task_type,
            columns=dataset.columns,
            corrections=Corrections.from_json(dataset.corrections),
            progress=progress,
        )
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    if report.problems:
        raise UnusableData(report)
    dataset.size, dataset.sha256 = report.bytes, report.sha256
    dataset.columns, dataset.classes = report.columns, list(report.classes)
    dataset.examples, dataset.report = report.examples, report.to_json()


def keep_shard(
    dataset: Dataset, path: Path, *, noted: Callable[[DatasetValidation], object] | None = None
) -> None:
    """Keep further examples of a project as a data set of their own.

    `noted` is for what nobody has read yet: a worker will, and `noted` writes down what it is read for, in the same
    transaction. Raises `InvalidRequest`, `QuotaExceeded`, `BucketError`.
    """
    dataset.key = dataset_key(uuid.uuid4().hex, path.suffix)
    dataset.size, dataset.sha256 = path.stat().st_size, hash_file(path)
    if noted is not None:
        dataset.state, dataset.examples = Dataset.State.VALIDATING, 0
    _keep(dataset, path, noted)


def _keep(dataset: Dataset, path: Path, noted: Callable[[DatasetValidation], object] | None = None) -> None:
    """Put a data set's file into the bucket and its row into the table: both, or neither."""
    check_fields(dataset, exclude=["owner"])
    bucket = get_bucket()
    try:
        with path.open("rb") as source:
            bucket.save(dataset.key, source)
        with transaction.atomic():
            take_room(dataset.owner, dataset.size)
            dataset.save()
            if dataset.state == Dataset.State.VALIDATING:
                validation = DatasetValidation.objects.create(dataset=dataset)
                if noted is not None:
                    noted(validation)
                transaction.on_commit(lambda: announce(validation))
    except BaseException:
        if not Dataset.objects.filter(key=dataset.key).exists():  # else somebody made the same one meanwhile
            with contextlib.suppress(BucketError):
                bucket.delete(dataset.key)
        raise
    logger.info("dataset.created", dataset=dataset.pk, bytes=dataset.size, state=str(dataset.state))
