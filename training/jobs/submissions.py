"""Submission of a job with its upload in one step."""

from collections.abc import Callable
from dataclasses import dataclass

from django.core.files import File

from accounts.models import User
from core.exceptions import TrainyardError
from models_registry.inputs import Corrections
from models_registry.models import Project

from ..datasets.models import Dataset
from ..datasets.services import create_dataset, discard_dataset
from .models import TrainingJob
from .services import JobSettings, submit_job


@dataclass(frozen=True)
class Submission:
    """A data set that was just uploaded, and how to train on it."""

    name: str
    task_type: str
    file: File
    columns: dict[str, str] | None
    choice: JobSettings
    corrections: Corrections | None = None
    origin: str = TrainingJob.Origin.FORM
    project: Project | None = None


def submit_upload(
    *, owner: User | None, submission: Submission, keep: Callable[..., Dataset] = create_dataset
) -> TrainingJob:
    """Store the data set and submit the job; if the job is refused, the data set is deleted.

    A web process lets `accept_dataset` keep it: the job then waits until a worker has validated a large one,
    and fails with it. Raises what `keep` and `submit_job` raise.
    """
    dataset = keep(
        owner=owner,
        name=submission.name,
        task_type=submission.task_type,
        file=submission.file,
        columns=submission.columns,
        corrections=submission.corrections,
    )
    try:
        return submit_job(
            owner=owner,
            dataset=dataset,
            name=submission.name,
            choice=submission.choice,
            origin=submission.origin,
            project=submission.project,
            waits_for_data=True,
        )
    except TrainyardError:
        discard_dataset(dataset)
        raise
