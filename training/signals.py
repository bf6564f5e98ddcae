"""Keep status.json and training.json in step with the jobs, and the jobs with their projects."""

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from documents import keys
from documents.outbox import mark_changed
from models_registry.models import Project
from models_registry.projects.events import project_deleted
from work import transitions

from .jobs.models import TrainingJob


@receiver((post_save, post_delete), sender=TrainingJob)
def job_changed(**_: object) -> None:
    """A job was made, changed or removed by hand; `transitions` marks its own changes."""
    mark_changed(keys.STATUS)
    mark_changed(keys.TRAINING)


@receiver(project_deleted)
def cancel_trainings(project: Project, **_: object) -> None:
    """A project was deleted: nobody waits for what it trains."""
    for job in TrainingJob.objects.unfinished().filter(project=project).order_by("pk"):
        transitions.cancel(job)
