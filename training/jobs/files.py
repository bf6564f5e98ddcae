"""The keys of a job's files in the bucket, and their removal."""

from django.db.models import F, Q

from bucket.factory import get_bucket
from documents.drift import KnownFiles

from ..datasets.files import DATASETS
from ..datasets.models import Dataset
from .models import TrainingJob

CHECKPOINTS = "training/jobs/"  # a folder for each job that has any


def attempt_prefix(job: TrainingJob, attempt: int) -> str:
    """Return the folder of one attempt's artifacts, with a slash at its end."""
    return f"{job.task_type}/{job.token}/{attempt}/"


def checkpoint_prefix(job: TrainingJob) -> str:
    """Return the folder of a job's checkpoints, with a slash at its end."""
    return f"{CHECKPOINTS}{job.token}/checkpoint/"


def delete_checkpoints(job: TrainingJob) -> int:
    """Delete every checkpoint of a job that has ended; returns how many files there were."""
    return get_bucket().delete_folder(f"{CHECKPOINTS}{job.token}/")


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
