"""Where a job's files lie in the bucket, and how they are removed."""

import contextlib
import hashlib
from pathlib import Path

from django.core.files.storage import storages
from django.db.models import F

from documents.drift import KnownFiles

from .models import Dataset, TrainingJob

DATASETS = "training/datasets/"


def attempt_prefix(job: TrainingJob, attempt: int) -> str:
    """Return the folder of one attempt's artifacts, with a slash at its end."""
    return f"{job.task_type}/{job.token}/{attempt}/"


def dataset_key(identifier: str, suffix: str) -> str:
    """Return where an uploaded data set lies; nothing of its user-given name but a known suffix."""
    return f"{DATASETS}{identifier}/dataset{suffix}"


def known_files(folder: str) -> KnownFiles:
    """Return the data sets, or what unfinished and unswept attempts may have left in a task's folder."""
    if folder == DATASETS:
        return KnownFiles(dict(Dataset.objects.values_list("key", "size")))
    jobs = TrainingJob.objects.filter(attempt__gt=F("swept_attempt"))
    return KnownFiles({}, tuple(f"{task}/{token}/" for task, token in jobs.values_list("task_type", "token")))


def delete_prefix(prefix: str) -> int:
    """Delete every file below a prefix; returns how many there were."""
    storage = storages["default"]
    try:
        folders, files = storage.listdir(prefix)
    except FileNotFoundError:
        return 0
    for name in files:
        storage.delete(f"{prefix}{name}")
    deleted = len(files) + sum(delete_prefix(f"{prefix}{folder}/") for folder in folders)
    with contextlib.suppress(OSError):  # a bucket folder that is in use again
        storage.delete(prefix)
    return deleted


def hash_file(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
