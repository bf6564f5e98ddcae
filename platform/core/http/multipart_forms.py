"""Multipart forms read as a stream, by the library multipart.

Django's own parser puts each file into an upload object and takes eight times as long, which for a prediction is more
than the rest of Django.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from ..exceptions import InvalidRequest

CHUNK_BYTES = 2**17
MALFORMED = "The form cannot be understood: it is cut off or malformed"

Event: TypeAlias = MultipartSegment | bytes | None  # the head of a part, a piece of its content, its end


@dataclass(frozen=True)
class FormPart:
    """One part of a form: the field's name, a file's name ("" for a plain field) and the content."""

    name: str
    filename: str
    content: bytes

    @property
    def text(self) -> str:
        """The content of a plain field."""
        return self.content.decode("utf-8", "replace")


def read_form(request: HttpRequest) -> list[FormPart]:
    """Return all parts of a request's multipart form. Raises `InvalidRequest` for what is none.

    It is held in memory: whoever calls this has bounded the body's size.
    """
    parts: list[FormPart] = []
    head: MultipartSegment | None = None
    pieces: list[bytes] = []
    for event in stream_form(request):
        if isinstance(event, MultipartSegment):
            head, pieces = event, []
        elif event:
            pieces.append(event)
        elif head is not None:
            parts.append(FormPart(head.name, head.filename or "", _content(head, pieces)))
    return parts


def stream_form(request: HttpRequest) -> Iterator[Event]:
    """Yield the parts of a request's multipart form as they come: head, pieces, None for the end of each.

    Raises `InvalidRequest` for a form that is malformed, incomplete, or has too many parts.
    """
    boundary = (request.content_params or {}).get("boundary", "")
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    try:
        parser = PushMultipartParser(boundary, max_segment_count=most)
        yield from parser.parse_blocking(request.read, CHUNK_BYTES)
    except (MultipartError, UnreadablePostError) as error:
        raise InvalidRequest(f"{MALFORMED} ({error}).") from error


def _content(head: MultipartSegment, pieces: list[bytes]) -> bytes:
    """Return a part's bytes, decoded where its sender says that they are base64."""
    content = b"".join(pieces)
    if head.header("Content-Transfer-Encoding", "").strip().lower() != "base64":
        return content
    try:
        return base64.b64decode(content)
    except binascii.Error as error:
        raise InvalidRequest(f"{MALFORMED} (the field {head.name!r} is no base64).") from error
