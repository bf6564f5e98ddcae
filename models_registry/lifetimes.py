"""How long models live: from their last use or their birth, as the clean-up policy says; in production for ever.

The clean-up itself goes by `expires_at` alone, so that a model's row says when it goes. Use, promotion and demotion
move it; `retention.py` deletes.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Q

from control.models import CleanupPolicy

from .models import RegisteredModel

NOTED_EVERY = timedelta(hours=1)  # of a model that is used all the time
PARTS = 24  # of a retention that is shorter than a day


def expiry_of_new(now: datetime) -> datetime | None:
    """Return when a model expires that is born, or last used, now; None for never."""
    retention = CleanupPolicy.load().retention
    return now + retention if retention else None


def note_production(*, came: int | None, went: int | None, now: datetime) -> None:
    """Let the model that came into production never expire, and the one that went as if it was last used now."""
    if not CleanupPolicy.load().spares_production or came == went:
        return
    if came is not None:
        RegisteredModel.objects.filter(pk=came).update(expires_at=None)
    RegisteredModel.objects.live().filter(pk=went, expires_at=None).update(expires_at=expiry_of_new(now))


def note_use(used: Mapping[int, datetime]) -> None:
    """Note when models were last used, at most once an hour each, and let them live on from there."""
    policy = CleanupPolicy.load()
    every = min(NOTED_EVERY, policy.retention / PARTS) if policy.retention else NOTED_EVERY
    for pk, at in sorted(used.items()):
        long_ago = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - every)
        models = RegisteredModel.objects.live().filter(pk=pk)
        if models.filter(long_ago).update(last_used_at=at) and policy.counts_from_use and policy.retention:
            until = at + policy.retention
            models.filter(expires_at__lt=until).update(expires_at=until)
