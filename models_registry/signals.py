"""Keep inference.json in step with the registry."""

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from documents import keys
from documents.outbox import mark_changed

from .models import Artifact, RegisteredModel


@receiver((post_save, post_delete), sender=RegisteredModel)
def model_changed(instance: RegisteredModel, **_: object) -> None:
    """A model went live, changed or went."""
    mark_changed(keys.INFERENCE, instance.token)


@receiver((post_save, post_delete), sender=Artifact)
def artifact_changed(instance: Artifact, **_: object) -> None:
    """A file of a model changed its place."""
    mark_changed(keys.INFERENCE, instance.model.token)
