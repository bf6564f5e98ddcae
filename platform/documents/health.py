"""Is the bucket well? It is when status.json is there, which every platform has."""

from bucket.store import get_store
from core.observability.health import NotWell

from .keys import STATUS


def look_at_bucket() -> None:
    """Ask for status.json. Raises `NotWell` or `BucketError`."""
    if get_store().head(STATUS) is None:
        raise NotWell(f"there is no {STATUS}: run `manage.py sync_documents`")
