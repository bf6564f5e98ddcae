"""Bring one document into step with our tables, both ways: a module for each kind of document.

The first attempt assumes that no other program has written since we last did and asks the bucket to refuse if that
is wrong (`If-Match`): most of the time, publishing is one query and one PUT. Only when it is refused
the document is read and merged. A write of ours that landed although its answer was lost shows then,
too: the document is what we wrote, byte for byte.
"""

from ..document_writer import DocumentWriter
from ..projections import EntriesProjection, FieldsProjection, Projection, StreamProjection
from .entries import synchronise_entries
from .fields import synchronise_fields
from .stream import synchronise_stream


def synchronise(projection: Projection, writer: DocumentWriter) -> None:
    """Bring a document into step. Raises `BucketError`, `UnreadableDocument`, `LostLease`."""
    with writer.kept():
        if isinstance(projection, FieldsProjection):
            synchronise_fields(projection, writer)
        elif isinstance(projection, EntriesProjection):
            synchronise_entries(projection, writer)
        else:
            assert isinstance(projection, StreamProjection)
            synchronise_stream(projection, writer)
