"""The end of a validation: writes its outcome and sends `dataset_ready`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.quota import require_room
from bucket.factory import get_bucket
from core.exceptions import BucketError, QuotaExceeded
from work import transitions
from work.attempt import HopelessAttempt

from ..engine.data import DataReport
from .files import delete_files, delete_leftovers, hash_file, repacked_key
from .models import Dataset, DatasetValidation
from .signals import dataset_ready


def conclude_repacked(validation: DatasetValidation, report: DataReport, path: Path) -> None:
    """Keep a data set's file in another form, and end its validation. Raises `StaleAttempt`, `BucketError`."""
    with file_in_other_form(validation, path) as file:
        conclude(validation, report, **file)


@contextlib.contextmanager
def file_in_other_form(validation: DatasetValidation, path: Path) -> Iterator[dict[str, str | int]]:
    """Let a file take the place of the one that was uploaded, if what it is for succeeds; yields its columns.

    Raises `HopelessAttempt` where there is no room for it, `BucketError`.
    """
    dataset, bucket = validation.dataset, get_bucket()
    key, size = repacked_key(dataset.key, validation.attempt), path.stat().st_size
    try:
        require_room(dataset.owner, size - dataset.size)
        with path.open("rb") as file:
            bucket.save(key, file)
        yield {"key": key, "size": size, "sha256": hash_file(path)}
    except BaseException as error:
        with contextlib.suppress(BucketError):
            bucket.delete(key)
        if isinstance(error, QuotaExceeded):
            raise HopelessAttempt(str(error)) from error
        raise
    with contextlib.suppress(BucketError):
        delete_leftovers(key)


def conclude(validation: DatasetValidation, report: DataReport, **file: str | int) -> None:
    """End a validation with what was found, all or nothing. Raises `StaleAttempt`.

    `file` are the columns of a file that has taken the place of the one that was uploaded.
    """
    data = Dataset.objects.filter(pk=validation.dataset_id)
    found = {
        "report": report.to_json(),
        "columns": report.columns,
        "classes": list(report.classes),
        "examples": report.examples,
        "updated_at": timezone.now(),
        **file,
    }
    with transaction.atomic():
        if report.problems:
            transitions.fail(validation, reason=" ".join(report.problems))
            data.update(**found)
            return
        read = report.examples + report.unreadable_count
        transitions.succeed(validation, done=read, total=read)
        data.update(state=Dataset.State.READY, **found)
        dataset_ready.send(sender=Dataset, dataset_id=validation.dataset_id)


def unswept() -> QuerySet[DatasetValidation]:
    """Return the validations of unusable data sets whose file lies in the bucket still."""
    return DatasetValidation.objects.filter(dataset__state=Dataset.State.UNUSABLE, swept=False)


def sweep(validation: DatasetValidation) -> bool:
    """Delete the files of a data set that turned out to be unusable; False when there are none.

    Raises `BucketError`.
    """
    rows = unswept().filter(pk=validation.pk)
    key = rows.values_list("dataset__key", flat=True).first()
    if key is None:
        return False
    delete_files(key)
    return bool(rows.update(swept=True))
