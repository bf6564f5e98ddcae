"""From a filled-in form to an accepted job, in one step that leaves nothing half-made."""

import contextlib
from dataclasses import dataclass
from typing import Any

from django.core.files import File
from django.core.files.storage import storages
from django.db import IntegrityError
from django.db.models import ProtectedError

from core.exceptions import InvalidRequest, TrainyardError

from .models import Dataset, TrainingJob
from .services import JobSettings, create_dataset, submit_job


@dataclass(frozen=True)
class Submission:
    """A data set that was just uploaded, and how to train on it."""

    name: str
    task_type: str
    file: File
    columns: dict[str, str] | None
    choice: JobSettings
    origin: str = TrainingJob.Origin.FORM


def submit_upload(*, owner: Any, submission: Submission) -> TrainingJob:
    """Keep the data set and accept the job; a job that is refused takes its data set with it.

    Raises what `create_dataset` and `submit_job` raise.
    """
    dataset = create_dataset(
        owner=owner,
        name=submission.name,
        task_type=submission.task_type,
        file=submission.file,
        columns=submission.columns,
    )
    try:
        return submit_job(
            owner=owner,
            dataset=dataset,
            name=submission.name,
            choice=submission.choice,
            origin=submission.origin,
        )
    except TrainyardError:
        discard_dataset(dataset)
        raise


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
