"""Whether the bucket enforces conditional writes, and the notes about overruled changes."""

from datetime import timedelta

from django.utils import timezone

from bucket.factory import get_bucket
from bucket.probe import ProbeResult, probe_conditional_writes

from .models import BucketCheck, OverruledChange

FRESH = timedelta(days=1)
REMEMBERED = timedelta(days=90)  # changes that lost in a merge


def check_bucket(*, anew: bool = False) -> BucketCheck:
    """Return whether the bucket enforces conditional writes; probed once a day, or now for `anew`.

    Raises `BucketError` when the bucket does not answer.
    """
    bucket, known = get_bucket(), BucketCheck.load()
    fresh = known.checked_at is not None and known.checked_at > timezone.now() - FRESH
    if anew or not fresh or known.store != str(bucket):
        result: ProbeResult = probe_conditional_writes(bucket)
        known.store, known.enforced, known.message = str(bucket), result.enforced, str(result)
        known.checked_at = timezone.now()
        known.save()
    return known


def forget_overruled_changes() -> None:
    """Delete the notes about overruled changes that are older than `REMEMBERED`."""
    OverruledChange.objects.filter(created_at__lt=timezone.now() - REMEMBERED).delete()
