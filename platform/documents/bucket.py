"""What we know of the bucket itself: does it refuse a write whose condition does not hold?"""

from datetime import timedelta

from django.utils import timezone

from .models import BucketCheck
from .probe import ProbeResult, probe_conditional_writes
from .store import get_store

FRESH = timedelta(days=1)


def check_bucket(*, anew: bool = False) -> BucketCheck:
    """Return whether outside edits are safe in this bucket; probed once a day, or now for `anew`.

    Raises `BucketError` when the bucket does not answer.
    """
    store, known = get_store(), BucketCheck.load()
    fresh = known.checked_at is not None and known.checked_at > timezone.now() - FRESH
    if anew or not fresh or known.store != str(store):
        result: ProbeResult = probe_conditional_writes(store)
        known.store, known.enforced, known.message = str(store), result.enforced, str(result)
        known.checked_at = timezone.now()
        known.save()
    return known
