"""The health check of the bucket: it is healthy if status.json can be found, which every platform has."""

from bucket.factory import get_bucket
from core.observability.health import Unhealthy

from .keys import STATUS


def look_at_bucket() -> None:
    """Look for status.json. Raises `Unhealthy` or `BucketError`."""
    if get_bucket().head(STATUS) is None:
        raise Unhealthy(f"there is no {STATUS}: run `manage.py sync_documents`")
