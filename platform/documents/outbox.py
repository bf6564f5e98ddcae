"""Note, inside the transaction that changes a table, which document changes with it."""

from collections.abc import Callable
from functools import cache

from django.db import connection, transaction

from . import projections
from .models import OutboxEntry


def mark_changed(key: str, *entries: str) -> None:
    """Note a change of the document `key`; once the transaction is committed, publish it.

    The note is a row of the same transaction: it is there exactly when the change is, and a publish
    that fails, however it fails, leaves it for `manage.py reconcile`.
    """
    OutboxEntry.objects.bulk_create(OutboxEntry(document=key, entry=entry) for entry in entries or ("",))
    waker = _waker(key)
    if projections.get(key).eager and all(waiting[1] is not waker for waiting in connection.run_on_commit):
        transaction.on_commit(waker, robust=True)


@cache
def _waker(key: str) -> Callable[[], None]:
    """Return one function object for each document, so that a burst registers it once."""

    def wake() -> None:
        from .background_publisher import publish_soon

        publish_soon(key)

    return wake
