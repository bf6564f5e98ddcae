"""How data sets go: row and file where nothing was made of them, else the file alone."""

import structlog
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from core.exceptions import InvalidRequest
from work.models import State

from .models import Dataset, DatasetValidation
from .outcomes import sweep
from .services import discard_dataset

logger = structlog.get_logger(__name__)

DELETED = "Its file was deleted; upload it again to train on it."


def delete_dataset(*, dataset: Dataset) -> None:
    """Delete a data set for good; one that jobs were made of keeps its row, which tells where they came from.

    Raises `InvalidRequest` while such a job has not ended, and for what a project learns from.
    """
    try:
        discard_dataset(dataset)
    except (ProtectedError, IntegrityError):  # the latter for a job that came in meanwhile
        _delete_file(dataset)


@transaction.atomic
def _delete_file(dataset: Dataset) -> None:
    """Delete a file as that of an unusable data set; one that cannot be deleted now is by `reconcile`."""
    # Whoever looks at it stops, and cannot make it ready any more. First, as who ends a validation locks it first.
    DatasetValidation.objects.unfinished().filter(dataset=dataset).delete()
    rows = Dataset.objects.select_for_update().defer("report")  # no job comes in meanwhile
    row = rows.exclude(state=Dataset.State.UNUSABLE).filter(pk=dataset.pk).first()
    if row is None:  # gone already
        return
    if row.jobs.unfinished().exists():
        raise InvalidRequest(f"{row.name} is used by a job that has not ended. Wait for it, or cancel it.")
    project = row.learnt_by
    if project is not None:
        raise InvalidRequest(
            f"The project {project} learns from {row.name}: photos and texts of it lie in this file alone. Delete the "
            "project; when the clean-up has deleted its versions, the file can be deleted as well."
        )
    Dataset.objects.make_unusable(row.pk, DELETED)
    ended = {"state": State.SUCCEEDED, "finished_at": timezone.now()}
    validation, _ = DatasetValidation.objects.get_or_create(dataset=row, defaults=ended)
    transaction.on_commit(lambda: sweep(validation), robust=True)
    logger.info("dataset.file_deleted", dataset=row.pk, bytes=row.size)
