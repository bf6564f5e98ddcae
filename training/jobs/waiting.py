"""Receivers: jobs wait for their data set, start with it or fail with it, and hold their networks."""

from django.db import transaction
from django.dispatch import receiver

from core.exceptions import InvalidRequest
from work.queue import announce_waiting
from work.transitions import refuse

from ..datasets.models import Dataset
from ..datasets.signals import dataset_ready, dataset_unusable
from ..networks.models import HubNetwork
from ..networks.selectors import served_names
from ..networks.signals import network_removing
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


@receiver(network_removing, sender=HubNetwork)
def keep_networks_of_jobs(network: HubNetwork, **_: object) -> None:
    """Raise `InvalidRequest` while jobs that have not ended train a network."""
    unfinished = TrainingJob.objects.unfinished().filter(architecture__in=served_names(network)).count()
    if unfinished:
        raise InvalidRequest(
            f"{network.name} is being trained, or is to be, by {unfinished:,} jobs. Wait for them, or cancel them."
        )
