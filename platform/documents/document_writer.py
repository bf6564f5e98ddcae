"""The writer of a document: reads, writes and records it while it holds the writer lease."""

import contextlib
import json
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from bucket.base import Bucket, Conflict, Stored
from core.exceptions import BucketError, StaleAttempt
from core.lease_renewal import LeaseRenewal
from core.text import storable

from .merge import Json, Overruled
from .models import Document, OutboxEntry, OverruledChange
from .serialise import entry_name, parse_document

logger = structlog.get_logger(__name__)

WRITER_LEASE = timedelta(minutes=1)
LONGEST_TURN = timedelta(
    minutes=30
)  # then the lease is no longer renewed, so that a writer that hangs blocks no other
CONFLICTS_BEFORE_GIVING_UP = 50


Sent = dict[str, dict[str, str] | None]  # digests of fields by entry ("" for a document without entries)


class UnreadableDocument(BucketError):
    """The document in the bucket is no JSON object; it is never overwritten blindly."""


class LostLease(Exception):
    """Another writer has taken over: nothing was noted, and nothing is lost."""


@dataclass(frozen=True)
class DocumentWriter:
    """Writes one document while it holds the writer lease; `writer` is the name that the lease bears.

    `look` asks whether others have written, although nothing of ours waits; `repair` lets our tables
    win over whatever others did to what is ours.
    """

    key: str
    writer: str
    bucket: Bucket
    look: bool = False
    repair: bool = False

    def row(self) -> Document:
        """Return the document's row as it is now."""
        return Document.objects.get(key=self.key)

    def waiting(self) -> dict[int, str]:
        """Return the committed changes that are not published: entries (or "") by row."""
        return dict(OutboxEntry.objects.filter(document=self.key).values_list("id", "entry"))

    def read(self) -> tuple[Stored | None, Json | None]:
        """Read and parse the document; an unreadable one is set aside. Raises `UnreadableDocument`."""
        stored = self.bucket.get(self.key)
        if stored is None:
            return None, None
        try:
            return stored, parse_document(stored.body)
        except ValueError as error:
            if self.row().rejected_etag != stored.etag:
                self.set_aside()
                self.reject(stored.etag, str(error))
            raise UnreadableDocument(
                f"{self.key} in the bucket cannot be used ({error}), so it was left alone; a copy is in "
                "quarantine/. Mend it there, or run `manage.py sync_documents --repair` to write it anew "
                "from the database."
            ) from error

    def set_aside(self) -> None:
        """Copy the document to another key, so that it is not overwritten."""
        copy = f"quarantine/{self.key}.{timezone.now():%Y%m%dT%H%M%S%fZ}"
        self.bucket.copy(self.key, copy)
        logger.warning("document.set_aside", document=self.key, copy=copy)

    def reject(self, etag: str, reason: str) -> None:
        """Record that a version cannot be used, so that it is read only once."""
        reason = storable(reason)
        Document.note(self.key, writer=self.writer, rejected_etag=etag, rejected_because=reason)
        logger.warning("document.rejected", document=self.key, reason=reason)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease while the block runs, for a bounded time."""

        def renew() -> None:
            if not Document.note(self.key, writer=self.writer, writer_until=timezone.now() + WRITER_LEASE):
                raise StaleAttempt(f"{self.writer} does not write {self.key} any more.")

        every, longest = WRITER_LEASE.total_seconds() / 4, LONGEST_TURN.total_seconds()
        with LeaseRenewal(renew, every=every, silence_allowed=longest, name=f"document-lease-{self.key}"):
            yield

    def keep_writing(self, **changes: object) -> None:
        """Update the row in the middle of the work. Raises `LostLease`."""
        if not Document.note(self.key, writer=self.writer, **changes):
            raise LostLease(self.key)

    def put(self, body: bytes, *, if_match: str | None, sent: Sent) -> str | None:
        """Write the document; None when another process was first, after a moment's pause.

        What is `sent` is noted before: should the write land without our learning of it, what we find
        in the bucket later is ours and no edit of others. Raises `LostLease`.
        """
        self.keep_writing(sent=json.dumps(sent), size=len(body))
        try:
            return self.bucket.put(self.key, body, if_match=if_match)
        except Conflict:
            time.sleep(random.uniform(0.002, 0.03))  # noqa: S311 - jitter
            return None

    def gave_up(self) -> BucketError:
        """Return the error of a document that others change faster than it can be merged."""
        return BucketError(
            f"{self.key} changed {CONFLICTS_BEFORE_GIVING_UP} times while it was being written."
        )

    def record(
        self,
        *,
        etag: str,
        wrote: bool,
        done: Collection[int],
        remember: Callable[[], Collection[str] | None] = lambda: None,
        accepted: bool = False,
        **changes: object,
    ) -> None:
        """Note a document that is in step now, in one transaction. Raises `LostLease`.

        `remember` writes the base and follows what others did; it returns the entries to look at
        once more, because our rows have followed the document (or could not). `accepted` says that
        what the bucket holds is no version that had to be rejected.
        """
        if accepted:
            changes |= {"rejected_etag": "", "rejected_because": ""}
        if wrote:
            changes |= {"published_at": timezone.now(), "revision": F("revision") + 1}
        elif etag:
            changes |= {"published_at": Coalesce("published_at", Now())}
        with transaction.atomic():
            if not Document.note(self.key, writer=self.writer, etag=etag, sent="", **changes):
                raise LostLease(self.key)
            again = remember() or ()
            _forget(done)
            OutboxEntry.objects.bulk_create(OutboxEntry(document=self.key, entry=entry) for entry in again)

    def note_overruled(self, entry: str, overruled: Iterable[Overruled]) -> None:
        """Store the overruled changes, for the admin."""
        rows = [
            OverruledChange(
                document=self.key,
                entry=entry_name(entry),
                field=lost.field[:80],
                value=json.dumps(lost.value),
                winner=lost.by,
            )
            for lost in overruled
        ]
        OverruledChange.objects.bulk_create(rows)
        for row in rows:
            logger.warning("document.change_overruled", document=self.key, field=row.field, winner=row.winner)


def _forget(ids: Collection[int]) -> None:
    rows = sorted(ids)
    for start in range(0, len(rows), 1000):  # databases bound the parameters of a query
        OutboxEntry.objects.filter(id__in=rows[start : start + 1000]).delete()
