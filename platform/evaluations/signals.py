"""When a project's policy is looked at: after a version went live, and after one was measured."""

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from models_registry.models import RegisteredModel
from training.examples.models import Findings
from work.events import work_ended

from .models import Evaluation
from .policy import apply_policy


@receiver(post_save, sender=RegisteredModel)
def version_went_live(instance: RegisteredModel, created: bool, **_: object) -> None:
    """Measure the new version against the one in production, where the project wants that."""
    if created:
        transaction.on_commit(lambda: apply_policy(instance.project_id), robust=True)


@receiver(post_save, sender=Findings)
def version_was_looked_at(instance: Findings, **_: object) -> None:
    """Measure a version now that models which have not learnt from its examples have answered to them."""
    if not instance.awaited:
        transaction.on_commit(lambda: apply_policy(instance.project_id), robust=True)


@receiver(work_ended, sender=Evaluation)
def version_was_measured(work: Evaluation, **_: object) -> None:
    """Promote the version, or note why not; what goes wrong here is done by the periodic task."""
    transaction.on_commit(lambda: apply_policy(work.project_id), robust=True)
