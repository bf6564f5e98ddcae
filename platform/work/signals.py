"""Work that was suspended need not wait for the next reconcile when maintenance ends."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from control.models import PlatformStatus

from .queue import announce_waiting, kinds


@receiver(post_save, sender=PlatformStatus)
def operation_goes_on(instance: PlatformStatus, created: bool, **_: Any) -> None:
    """Announce what waits, of every kind."""
    if not created and not instance.dev_mode:
        transaction.on_commit(lambda: [announce_waiting(kind) for kind in kinds()])
