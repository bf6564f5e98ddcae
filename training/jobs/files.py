"""Where a job's files lie in the bucket, and how they are removed."""

import hashlib
from pathlib import Path

from django.db.models import F, Q

from documents.drift import KnownFiles

from ..datasets.models import Dataset
from .models import TrainingJob

DATASETS = "training/datasets/"
CHECKPOINTS = "training/jobs/"  # a folder for each job that has any


def attempt_prefix(job: TrainingJob, attempt: int) -> str:
    """Return the folder of one attempt's artifacts, with a slash at its end."""
    return f"{job.task_type}/{job.token}/{attempt}/"


def dataset_key(identifier: str, suffix: str) -> str:
    """Return where an uploaded data set lies; nothing of its user-given name but a known suffix."""
    return f"{DATASETS}{identifier}/dataset{suffix}"


def known_files(folder: str) -> KnownFiles:
    """Return the data sets, or what unfinished and unswept attempts may have left in a folder."""
    if folder == DATASETS:
        kept = Dataset.objects.exclude(validation__swept=True)
        return KnownFiles(dict(kept.values_list("key", "size")))
    if folder == CHECKPOINTS:
        started = TrainingJob.objects.filter(attempt__gt=0)
        jobs = started.filter(Q(state__in=TrainingJob.UNFINISHED) | Q(attempt__gt=F("swept_attempt")))
        return KnownFiles({}, tuple(f"{folder}{token}/" for token in jobs.values_list("token", flat=True)))
    jobs = TrainingJob.objects.filter(attempt__gt=F("swept_attempt"))
    return KnownFiles({}, tuple(f"{task}/{token}/" for task, token in jobs.values_list("task_type", "token")))


def hash_file(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
