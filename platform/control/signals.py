"""Keep status.json and cleanup.json in step with the switches."""

from django.db.models.signals import post_save
from django.dispatch import receiver

from documents import keys
from documents.outbox import mark_changed

from .models import CleanupPolicy, PlatformStatus


@receiver(post_save, sender=PlatformStatus)
def status_saved(**_: object) -> None:
    """Mark status.json as changed."""
    mark_changed(keys.STATUS)


@receiver(post_save, sender=CleanupPolicy)
def policy_saved(**_: object) -> None:
    """Mark cleanup.json as changed."""
    mark_changed(keys.CLEANUP)
