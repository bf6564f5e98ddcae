"""What of a person's will be deleted when, if nothing happens: versions with their evaluations, and batches."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from inference.batches.models import Batch
from models_registry.models import RegisteredModel

MOST = 200  # of each kind
LONGER = timedelta(days=7)  # that one click keeps a version


@dataclass(frozen=True)
class ExpiringVersion:
    """A version that the clean-up will delete; `at` is None for the next clean-up.

    Its evaluations go with it. `may_be_kept`: `LONGER` from its expiry on is not longer than a version may be kept.
    """

    model: RegisteredModel
    at: datetime | None
    evaluations: int
    may_be_kept: bool

    @property
    def is_over(self) -> bool:
        """Whether its time is over, so that the next clean-up deletes it."""
        return self.at is None or self.at <= timezone.now()


def expiring_versions(owner: User) -> list[ExpiringVersion]:
    """Return a person's versions that will go, the first to go first."""
    of_state = RegisteredModel.State
    limited = Q(state=of_state.LIVE, pinned=False, expires_at__isnull=False)
    going = RegisteredModel.objects.filter(limited | Q(state=of_state.RETIRED), owner=owner)
    rows = going.annotate(count=Count("evaluations")).select_related("project")
    rows = rows.defer("metrics", "accuracy_plot", "classes").order_by("-state", "expires_at", "pk")
    return [_version(model) for model in rows[:MOST]]


def expiring_batches(owner: User) -> list[Batch]:
    """Return a person's batches whose results will go, the first to go first."""
    batches = Batch.objects.filter(owner=owner, expires_at__isnull=False).select_related("model")
    return list(
        batches.defer("parts", "model__metrics", "model__accuracy_plot").order_by("expires_at")[:MOST]
    )


def _version(model: RegisteredModel) -> ExpiringVersion:
    at = model.expires_at if model.is_live else None
    latest = timezone.now() + settings.TRAINYARD["MAX_KEEP"]
    may_be_kept = at is not None and max(at, timezone.now()) + LONGER <= latest
    return ExpiringVersion(model, at, getattr(model, "count", 0), may_be_kept)
