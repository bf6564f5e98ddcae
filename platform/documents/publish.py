"""Database → bucket: one writer a document at a time, many changes in one conditional write.

Whoever commits a change tries to become the document's writer. Who does, publishes everything
that is waiting, lets go, and looks once more; who does not, returns at once, because the writer's
second look will find the change. A bucket that is down costs nothing but time: the rows stay, the
document shows the error, and `manage.py reconcile` tries again.
"""

import json
import os
import random
import socket
import time
import uuid
from datetime import timedelta
from enum import Enum
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.exceptions import BucketError

from . import projections
from .merge import Json
from .models import Document, OutboxEntry
from .projections import FieldsProjection, MergedProjection, StreamProjection
from .store import Conflict, DocumentStore, Stored, get_store

logger = structlog.get_logger(__name__)

WRITER_LEASE = timedelta(minutes=2)
STREAM_LEASE = timedelta(hours=1)
REST_AFTER_FAILURE = timedelta(seconds=5)
CONFLICTS_BEFORE_GIVING_UP = 50


class Outcome(Enum):
    """How an attempt to publish ended."""

    CLEAN = "clean"  # nothing is waiting any more
    BUSY = "busy"  # somebody else is writing and will take our changes along
    FAILED = "failed"  # the bucket did not take it; the changes wait


class UnreadableDocument(BucketError):
    """The document in the bucket is no JSON object; it is never overwritten blindly."""


def publish(key: str, *, force: bool = False) -> Outcome:
    """Bring a document up to date; never raises for a bucket that fails.

    `force` writes even when nothing is waiting, and tries a bucket that failed a moment ago.
    """
    if not force and _failed_just_now(key):
        return Outcome.FAILED
    while force or OutboxEntry.objects.filter(document=key).exists():
        projection = projections.get(key)
        writer, now = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}", timezone.now()
        lease = STREAM_LEASE if isinstance(projection, StreamProjection) else WRITER_LEASE
        if not Document.acquire(key, writer=writer, now=now, until=now + lease):
            return Outcome.BUSY
        try:
            changes = _write(projection, get_store(), force=force)
        except BucketError as error:
            logger.warning("document.publish_failed", document=key, error=str(error))
            Document.release(key, writer=writer, last_error=str(error), failed_at=timezone.now())
            return Outcome.FAILED
        except BaseException:
            Document.release(key, writer=writer)
            raise
        Document.release(key, writer=writer, last_error="", failed_at=None, **changes)
        force = False
    return Outcome.CLEAN


def publish_or_raise(key: str, *, timeout_seconds: float = 30) -> None:
    """Return when every change committed so far is in the bucket; `BucketError` otherwise."""
    last = OutboxEntry.objects.filter(document=key).order_by("-id").values_list("id", flat=True).first() or 0
    deadline = time.monotonic() + timeout_seconds
    while OutboxEntry.objects.filter(document=key, id__lte=last).exists():
        if publish(key) is Outcome.FAILED:
            raise BucketError(Document.objects.get(key=key).last_error or f"{key} cannot be published now.")
        if time.monotonic() > deadline:
            raise BucketError(f"{key} is being written by somebody else for too long.")
        time.sleep(0.02)


def publish_waiting() -> dict[str, str]:
    """Publish every document that has changes waiting or is missing, and take operators' edits over."""
    return {
        projection.key: publish(projection.key, force=_has_to_be_looked_at(projection)).value
        for projection in projections.registered()
    }


def _has_to_be_looked_at(projection: projections.Projection) -> bool:
    """Say whether to read the document although nothing may be waiting: an operator may have edited it."""
    if OutboxEntry.objects.filter(document=projection.key).exists():
        return True
    if isinstance(projection, FieldsProjection):
        return bool(projection.operator_fields)
    return isinstance(projection, MergedProjection) and not _was_written(projection.key)


def _was_written(key: str) -> bool:
    return Document.objects.filter(key=key, published_at__isnull=False).exists()


def _failed_just_now(key: str) -> bool:
    since = timezone.now() - REST_AFTER_FAILURE
    return Document.objects.filter(key=key, failed_at__gt=since).exists()


def _write(projection: projections.Projection, store: DocumentStore, *, force: bool) -> dict[str, Any]:
    """Publish what is waiting now, and return what to note about it."""
    waiting = list(OutboxEntry.objects.filter(document=projection.key).values_list("id", "entry"))
    if isinstance(projection, StreamProjection):
        changes = _write_stream(projection, store, force=force)
    else:
        assert isinstance(projection, MergedProjection)
        changes = _write_merged(projection, store, entries={entry for _, entry in waiting if entry})
    OutboxEntry.objects.filter(id__in=[row for row, _ in waiting]).delete()
    return changes


def _news(**changes: Any) -> dict[str, Any]:
    """Return what to note of a document that was written."""
    return {**changes, "published_at": timezone.now(), "revision": F("revision") + 1}


def _write_merged(projection: MergedProjection, store: DocumentStore, *, entries: set[str]) -> dict[str, Any]:
    key, written = projection.key, b""
    for _ in range(CONFLICTS_BEFORE_GIVING_UP):
        current = store.get(key)
        theirs = _parse(key, current, store)
        merged = projection.merge(base=Document.objects.get(key=key).base, entries=entries, theirs=theirs)
        if merged.taken:
            logger.info("document.edit_taken", document=key, fields=sorted(merged.taken))
        remembered = projection.remember(merged.document)
        if current is not None and (merged.document == theirs or current.body == written):
            # nothing to add, or a write of ours had landed although its answer was lost
            changes = {"etag": current.etag} if _was_written(key) else _news(etag=current.etag)
        else:
            written = json.dumps(merged.document, indent=2, ensure_ascii=False).encode()
            try:
                changes = _news(etag=store.put(key, written, if_match=current.etag if current else None))
            except Conflict:
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - jitter
                continue
        with transaction.atomic():
            Document.objects.filter(key=key).update(base=remembered)
            if merged.taken:
                projection.take(merged.taken)
        return changes
    raise BucketError(f"{key} changed {CONFLICTS_BEFORE_GIVING_UP} times while it was being written.")


def _write_stream(projection: StreamProjection, store: DocumentStore, *, force: bool) -> dict[str, Any]:
    published = Document.objects.get(key=projection.key).base.get("version")
    wanted = projection.version()
    if wanted == published and not force:
        return {}
    if wanted is not None:
        store.put_stream(projection.key, projection.chunks(wanted))
    elif published is not None:
        store.delete(projection.key)
    return _news(base={} if wanted is None else {"version": wanted})


def _parse(key: str, stored: Stored | None, store: DocumentStore) -> Json | None:
    """Return the document as an object; an unreadable one is set aside and reported."""
    if stored is None:
        return None
    try:
        document = json.loads(stored.body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    aside = f"quarantine/{key}.{stored.etag.strip(chr(34))[:16]}"
    try:
        store.put(aside, stored.body, if_match=None)
    except Conflict:
        logger.info("document.already_quarantined", document=key, copy=aside)
    raise UnreadableDocument(
        f"{key} in the bucket is not a JSON object, so it was left alone (copy: {aside}). "
        "Mend it there, or run `manage.py sync_documents --repair` to write it anew from the database."
    )
