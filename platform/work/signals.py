"""Announces queued work when maintenance ends, without waiting for the next reconcile."""

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from control.models import PlatformStatus

from .queue import announce_waiting, kinds


@receiver(post_save, sender=PlatformStatus)
def operation_goes_on(instance: PlatformStatus, created: bool, **_: object) -> None:
    """Announce queued work of every kind once the platform is in operation."""
    if not created and not instance.dev_mode:
        transaction.on_commit(lambda: [announce_waiting(kind) for kind in kinds()])
