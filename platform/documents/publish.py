"""Keep documents and tables in step: one writer a document at a time, many changes in one write.

Whoever commits a change tries to become the document's writer. Who does, publishes everything
that is waiting, lets go, and looks once more; who does not, returns at once, because the writer's
second look will find the change. A bucket that is down costs nothing but time: the rows stay, the
document shows the error, and `manage.py reconcile` tries again.
"""

import os
import socket
import time
import uuid
from datetime import timedelta
from enum import Enum

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from bucket.factory import get_bucket
from core.exceptions import BucketError
from core.periodic import Skipped, describe
from core.text import storable

from . import projections
from .document_writer import WRITER_LEASE, DocumentWriter, LostLease
from .models import Document, OutboxEntry
from .sync import synchronise

logger = structlog.get_logger(__name__)

REST_AFTER_FAILURE = timedelta(seconds=5)
OTHERS_TAKE = 5.0  # seconds that `bring_into_step` waits for another writer


class Outcome(Enum):
    """How an attempt to publish ended."""

    CLEAN = "clean"  # nothing is waiting any more
    BUSY = "busy"  # another process is writing and will take our changes along
    UNFINISHED = "unfinished"  # our turn is over, and changes wait again
    FAILED = "failed"  # the bucket did not take it; the changes wait
    POSTPONED = "postponed"  # what others put there waits until the platform may accept it


def publish(key: str, *, force: bool = False, repair: bool = False, turn: float | None = None) -> Outcome:
    """Bring a document and our tables into step; never raises for what is in the bucket, or that it fails.

    `force` looks at the document even when nothing of ours is waiting, and tries a bucket that failed
    a moment ago; `repair` does, and lets our tables win over every edit of what is ours. After `turn`
    seconds it leaves what others have committed meanwhile; the caller has to see to that.
    """
    force = force or repair
    if not force and _failed_just_now(key):
        return Outcome.FAILED
    began = time.monotonic()
    while force or _is_waiting(key):
        outcome = _publish_once(key, look=force, repair=repair)
        if outcome is not Outcome.CLEAN:
            return outcome
        force = repair = False
        if turn is not None and time.monotonic() - began > turn and _is_waiting(key):
            return Outcome.UNFINISHED
    return Outcome.CLEAN


def _publish_once(key: str, *, look: bool, repair: bool) -> Outcome:
    """Acquire the writer lease, synchronise the document, release the lease."""
    name, now = f"{socket.gethostname()[:80]}:{os.getpid()}:{uuid.uuid4().hex[:8]}", timezone.now()
    if not Document.acquire(key, writer=name, now=now, until=now + WRITER_LEASE):
        return Outcome.BUSY
    try:
        bucket = get_bucket()
        Document.move_to(key, store=str(bucket)[:255])
        writer = DocumentWriter(key=key, writer=name, bucket=bucket, look=look, repair=repair)
        synchronise(projections.get(key), writer)
    except BucketError as error:
        logger.warning("document.publish_failed", document=key, error=storable(error))
        Document.release(key, writer=name, last_error=storable(error), failed_at=timezone.now())
        return Outcome.FAILED
    except projections.Postponed as error:
        Document.release(key, writer=name, last_error=storable(error), failed_at=None)
        return Outcome.POSTPONED
    except LostLease:
        logger.warning("document.lease_lost", document=key)
        return Outcome.BUSY
    except BaseException as error:  # what is in a document may make a native library panic
        return _crashed(key, name, error)
    Document.release(key, writer=name, last_error="", failed_at=None)
    return Outcome.CLEAN


def _crashed(key: str, name: str, error: BaseException) -> Outcome:
    """Release the lease after an unexpected error and log it; re-raises what ends a process, and `DatabaseError`."""
    reason = f"Unexpected: {describe(error)}"
    Document.release(key, writer=name, last_error=reason)
    if isinstance(error, KeyboardInterrupt | SystemExit | DatabaseError):
        raise error
    logger.error("document.publish_crashed", document=key, error=reason, exc_info=error)
    return Outcome.FAILED


def publish_or_raise(key: str, *, timeout_seconds: float = 30) -> None:
    """Return when every change committed so far is in the bucket; `BucketError` otherwise."""
    last = OutboxEntry.objects.filter(document=key).order_by("-id").values_list("id", flat=True).first() or 0
    deadline = time.monotonic() + timeout_seconds
    while OutboxEntry.objects.filter(document=key, id__lte=last).exists():
        if publish(key) is Outcome.FAILED:
            raise BucketError(Document.objects.get(key=key).last_error or f"{key} cannot be published now.")
        if time.monotonic() > deadline:
            raise BucketError(f"{key} is being written by another process for too long.")
        time.sleep(0.02)


def publish_waiting() -> dict[str, str]:
    """Bring every document into step: publish what waits, follow what others have written.

    Returns how it ended, by document; whatever is wrong with one of them does not keep the others.
    """
    outcomes = {}
    for projection in projections.registered():
        try:
            outcomes[projection.key] = publish(projection.key, force=True).value
        except (DatabaseError, InterfaceError):
            logger.exception("document.publish_crashed", document=projection.key)
            outcomes[projection.key] = Outcome.FAILED.value
    return outcomes


def bring_into_step(key: str) -> str:
    """Publish what waits for one document and follow what others have written; returns how it ended.

    The periodic task of each document. Raises `BucketError` with the reason when it failed, `Skipped` when
    another process writes the document all the time without having brought it into step lately.
    """
    deadline = time.monotonic() + OTHERS_TAKE
    outcome = publish(key, force=True)
    while outcome is Outcome.BUSY and time.monotonic() < deadline:
        time.sleep(0.1)
        outcome = publish(key, force=True)
    if outcome is Outcome.FAILED:
        raise BucketError(Document.objects.get(key=key).last_error or f"{key} cannot be published now.")
    since = timezone.now() - settings.TRAINYARD["RECONCILE_EVERY"]
    if outcome is Outcome.BUSY and not Document.objects.filter(key=key, published_at__gt=since).exists():
        raise Skipped(f"{key} is being written by another process.")
    return outcome.value


def _is_waiting(key: str) -> bool:
    return OutboxEntry.objects.filter(document=key).exists()


def _failed_just_now(key: str) -> bool:
    since = timezone.now() - REST_AFTER_FAILURE
    return Document.objects.filter(key=key, failed_at__gt=since).exists()
