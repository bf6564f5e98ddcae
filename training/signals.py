"""Keep status.json and training.json in step with the jobs."""

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from documents import keys
from documents.outbox import mark_changed

from .jobs.models import TrainingJob


@receiver((post_save, post_delete), sender=TrainingJob)
def job_changed(**_: object) -> None:
    """A job was made, changed or removed by hand; `transitions` marks its own changes."""
    mark_changed(keys.STATUS)
    mark_changed(keys.TRAINING)
