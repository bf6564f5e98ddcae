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


def retention_of(policy: CleanupPolicy, own: timedelta | None) -> timedelta | None:
    """Return how long the models of a project live: as long as the platform keeps them, or shorter where it says so."""
    return min(filter(None, (policy.retention, own)), default=None)


def expiry_of_new(now: datetime, own: timedelta | None = None) -> datetime | None:
    """Return when a model expires that is born, or last used, now; None for never. `own` is its project's retention."""
    retention = retention_of(CleanupPolicy.load(), own)
    return now + retention if retention else None


def note_production(*, came: int | None, went: int | None, now: datetime) -> None:
    """Let the model that came into production never expire, and the one that went as if it was last used now."""
    if not CleanupPolicy.load().spares_production or came == went:
        return
    if came is not None:
        RegisteredModel.objects.filter(pk=came).update(expires_at=None)
    gone = RegisteredModel.objects.live().filter(pk=went, expires_at=None)
    for own in gone.values_list("project__retention", flat=True):
        gone.update(expires_at=expiry_of_new(now, own))


def note_use(used: Mapping[int, datetime]) -> None:
    """Note when models were last used, at most once an hour each, and let them live on from there."""
    policy = CleanupPolicy.load()
    owns = dict(RegisteredModel.objects.filter(pk__in=used).values_list("pk", "project__retention"))
    for pk, at in sorted(used.items()):
        retention = retention_of(policy, owns.get(pk))
        every = min(NOTED_EVERY, retention / PARTS) if retention else NOTED_EVERY
        long_ago = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - every)
        models = RegisteredModel.objects.live().filter(pk=pk)
        if models.filter(long_ago).update(last_used_at=at) and policy.counts_from_use and retention:
            until = at + retention
            models.filter(expires_at__lt=until).update(expires_at=until)
