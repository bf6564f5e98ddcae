"""The document that is too large for memory and exists only part of the time: training/training.json."""

from bucket.base import Conflict, Missing

from ..document_writer import CONFLICTS_BEFORE_GIVING_UP, DocumentWriter
from ..models import Document
from ..projections import StreamProjection, Unusable


def synchronise_stream(projection: StreamProjection, writer: DocumentWriter) -> None:
    """Import what others put there, write what runs here, remove what runs no more."""
    for _ in range(CONFLICTS_BEFORE_GIVING_UP):
        waiting, row = writer.waiting(), writer.row()
        wanted, found = projection.version(), writer.bucket.head(writer.key)
        try:
            if found is not None and found != row.etag:
                if _import_document(projection, writer, found):
                    continue
                if wanted is None:
                    writer.record(etag="", wrote=False, done=waiting, base="")
                    return
                writer.set_aside()
            etag, wrote = _bring_about(projection, writer, row, wanted=wanted, found=found)
        except Conflict:
            continue
        writer.record(etag=etag, wrote=wrote, done=waiting, base=wanted or "", accepted=True)
        return
    raise writer.gave_up()


def _import_document(projection: StreamProjection, writer: DocumentWriter, etag: str) -> bool:
    """Import a document that is not ours; returns whether it was, and is gone. Raises `Conflict`."""
    if writer.row().rejected_etag == etag:
        return False
    try:
        with writer.bucket.open(writer.key) as source:
            projection.import_document(source, etag=etag)
    except Missing:
        return True
    except Unusable as error:
        writer.reject(etag, str(error))
        return False
    writer.bucket.delete(writer.key, if_match=etag)
    return True


def _bring_about(
    projection: StreamProjection,
    writer: DocumentWriter,
    row: Document,
    *,
    wanted: str | None,
    found: str | None,
) -> tuple[str, bool]:
    """Write or remove the document, whichever is due; returns its ETag and whether that was needed."""
    if wanted is not None:
        if found is not None and found == row.etag and row.base == wanted:
            return found, False
        return writer.bucket.put_stream(writer.key, projection.chunks(wanted), if_match=found), True
    if found is not None:
        writer.bucket.delete(writer.key, if_match=found)
    return "", found is not None
