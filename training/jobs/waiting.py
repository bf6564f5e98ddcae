"""Jobs that wait for their data: they go on when it is ready, and end when it is unusable."""

from django.db import transaction
from django.dispatch import receiver

from work.queue import announce_waiting
from work.transitions import refuse

from ..datasets.models import Dataset
from ..datasets.signals import dataset_ready, dataset_unusable
from .models import TrainingJob


@receiver(dataset_ready, sender=Dataset)
def start_waiting_jobs(**_: object) -> None:
    """Announce the jobs of a data set that has become ready."""
    transaction.on_commit(lambda: announce_waiting(TrainingJob))


@receiver(dataset_unusable, sender=Dataset)
def end_waiting_jobs(dataset_id: int, reason: str, **_: object) -> None:
    """End the jobs of a data set that cannot be trained on."""
    waiting = TrainingJob.objects.queued().filter(dataset_id=dataset_id).defer("log_tail")
    for job in waiting:
        refuse(job, reason=f"The data cannot be trained on. {reason}")
