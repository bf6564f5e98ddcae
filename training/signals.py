"""Keep status.json and training.json in step with the jobs."""

from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from control.models import PlatformStatus
from documents import keys
from documents.outbox import mark_changed

from .jobs.models import TrainingJob


@receiver((post_save, post_delete), sender=TrainingJob)
def job_changed(**_: object) -> None:
    """A job was made, changed or removed by hand; `transitions` marks its own changes."""
    mark_changed(keys.STATUS)
    mark_changed(keys.TRAINING)


@receiver(post_save, sender=PlatformStatus)
def operation_goes_on(instance: PlatformStatus, created: bool, **_: object) -> None:
    """What was suspended need not wait for the next reconcile when maintenance ends."""
    from .datasets.reconcile import announce_validations
    from .jobs.services import announce_waiting

    if not created and not instance.dev_mode:
        transaction.on_commit(announce_waiting)
        transaction.on_commit(partial(announce_validations, unheard_for=timedelta()))
