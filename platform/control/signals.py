"""Keep status.json and cleanup.json in step with the switches."""

from django.db.models.signals import post_save
from django.dispatch import receiver

from documents import keys
from documents.outbox import mark_changed

from .models import CleanupPolicy, PlatformStatus


@receiver(post_save, sender=PlatformStatus)
def status_saved(**_: object) -> None:
    """A switch of the platform was set."""
    mark_changed(keys.STATUS)


@receiver(post_save, sender=CleanupPolicy)
def policy_saved(**_: object) -> None:
    """The clean-up policy was set."""
    mark_changed(keys.CLEANUP)
