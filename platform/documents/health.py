"""Is the bucket well? It is when status.json is there, which every platform has."""

from bucket.factory import get_bucket
from core.observability.health import NotWell

from .keys import STATUS


def look_at_bucket() -> None:
    """Ask for status.json. Raises `NotWell` or `BucketError`."""
    if get_bucket().head(STATUS) is None:
        raise NotWell(f"there is no {STATUS}: run `manage.py sync_documents`")
