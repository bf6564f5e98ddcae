"""Keep inference.json in step with the registry: the entry of a model, and of the project whose production it is."""

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from documents import keys
from documents.outbox import mark_changed

from .models import Artifact, Project, RegisteredModel
from .selectors import tokens_of


@receiver((post_save, post_delete), sender=RegisteredModel)
def model_changed(instance: RegisteredModel, **_: object) -> None:
    """A model went live, changed or went."""
    mark_changed(keys.INFERENCE, *tokens_of(instance))


@receiver((post_save, post_delete), sender=Artifact)
def artifact_changed(instance: Artifact, **_: object) -> None:
    """A file of a model changed its place."""
    mark_changed(keys.INFERENCE, *tokens_of(instance.model))


@receiver((post_save, post_delete), sender=Project)
def project_changed(instance: Project, **_: object) -> None:
    """A project was deleted, or its token withdrawn or given back."""
    mark_changed(keys.INFERENCE, instance.token)
