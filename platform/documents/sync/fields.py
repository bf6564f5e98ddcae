"""Documents of fixed fields: status.json and cleanup.json."""

from dataclasses import dataclass
from functools import partial

from ..document_writer import CONFLICTS_BEFORE_GIVING_UP, DocumentWriter
from ..merge import Json, Merged, merge_fields
from ..models import Document
from ..projections import FieldsProjection
from ..serialise import format_document, parse_document
from .sent import digest_fields, settled


@dataclass(frozen=True)
class _View:
    """A document and its ETag, as read or as the row has it; `etag` is None where there is none."""

    etag: str | None
    theirs: Json
    known: Json | None  # as we last knew it
    has_landed: bool = False  # it is what we sent a moment ago


def synchronise_fields(projection: FieldsProjection, writer: DocumentWriter) -> None:
    """Merge our fields with the document's, write it where it has to change, follow what others changed."""
    body = b""
    for attempt in range(CONFLICTS_BEFORE_GIVING_UP):
        waiting, row = writer.waiting(), writer.row()
        view = _look(writer, row, trust_row=attempt == 0 and not writer.look, body=body)
        merged = merge_fields(
            base=view.theirs if writer.repair else view.known,
            ours=projection.render(),
            theirs=view.theirs,
            canonical=projection.canonical,
            ownership=projection.ownership,
        )
        etag, wrote = view.etag, view.has_landed
        if etag is None or merged.document != view.theirs:
            body, wrote = format_document(merged.document), True
            etag = writer.put(body, if_match=etag, sent={"": digest_fields(merged.document)})
            if etag is None:
                continue
        remember = partial(_remember, projection, writer, merged)
        base = format_document(merged.document).decode()
        writer.record(etag=etag, wrote=wrote, done=waiting, remember=remember, base=base, accepted=True)
        return
    raise writer.gave_up()


def _look(writer: DocumentWriter, row: Document, *, trust_row: bool, body: bytes) -> _View:
    """Return the document as the row has it, where that may be trusted, or read it; `body` is what we sent last."""
    known = parse_document(row.base.encode()) if row.base else None
    if trust_row and row.etag and known is not None and not row.sent:
        return _View(row.etag, known, known)
    stored, found = writer.read()
    theirs = found if found is not None else known or {}
    known = settled(known, theirs, row.sent, "")
    return _View(stored.etag if stored else None, theirs, known, stored is not None and stored.body == body)


def _remember(projection: FieldsProjection, writer: DocumentWriter, merged: Merged) -> None:
    writer.note_overruled("", merged.overruled)
    if merged.followed:
        projection.follow(merged.followed)
