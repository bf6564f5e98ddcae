"""The manners of Flash's clients: what they send, and the envelope in which they expect an answer.

A body is a multipart form whose first part is a JSON text, whatever the part is called. Answers are
HTTP 200 with `{"result": "success" | "error", …}`, also for what elsewhere has a number of its own,
because the clients look at nothing else; only a fault of ours is a 500, `internal_error`.
"""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import structlog
from django.core.exceptions import SuspiciousMultipartForm
from django.http import HttpRequest, JsonResponse, UnreadablePostError
from django.http.multipartparser import (
    ChunkIter,
    InterBoundaryIter,
    LazyStream,
    MultiPartParserError,
)
from django.utils.http import parse_header_parameters
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from ..exceptions import InvalidRequest, TooManyRequests, TrainyardError
from .json_text import parse_json
from .parsers import FirstRenderer

logger = structlog.get_logger(__name__)

FLASH_PREFIX = "/flash/"
WHAT_TO_SEND = "Send a multipart form whose first part is a JSON object."
NO_SUCH_TOKEN = "No such token found."  # noqa: S105 - Flash's words
FAULT_OF_OURS = "Something went wrong here. It is noted; please try again later."
HEADERS = 4096  # bytes of a part's headers
BUFFER_BYTES = 2**16  # bytes
BOUNDARY = re.compile(r"[ -~]{0,200}[!-~]")  # as Django takes them, too


def flash_error(message: str, *, status: int = 200) -> JsonResponse:
    """Answer something that the caller can mend, or has to wait for."""
    return JsonResponse({"result": "error", "message": message}, status=status)


def flash_failure() -> JsonResponse:
    """Answer a fault of ours, without a word about its cause."""
    return JsonResponse({"result": "internal_error", "message": FAULT_OF_OURS}, status=500)


class FlashView(APIView):
    """One call of Flash's: everybody may make it, and every answer is in Flash's envelope."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (JSONRenderer,)
    parser_classes = ()
    content_negotiation_class = FirstRenderer  # Flash's clients say nothing useful
    schema = None

    def handle_exception(self, error: Exception) -> Response:
        """Put an expected error into the envelope; any other is noted, and said to be a fault of ours."""
        if isinstance(error, exceptions.Throttled):
            error = TooManyRequests(getattr(error, "wait", None) or 1)
        if isinstance(error, TrainyardError):
            response = _error(str(error))
            if isinstance(error, TooManyRequests):
                response["Retry-After"] = str(error.seconds)
            return response
        if isinstance(error, exceptions.MethodNotAllowed):
            return _error(str(error.detail), status=error.status_code)
        logger.exception("flash.failed", call=type(self).__name__)
        return Response({"result": "internal_error", "message": FAULT_OF_OURS}, status=500)


def _error(message: str, *, status: int = 200) -> Response:
    return Response({"result": "error", "message": message}, status=status)


def success(**answer: object) -> Response:
    """Return an answer in the envelope."""
    return Response({"result": "success", **answer})


def read_object(request: HttpRequest) -> dict[str, object]:
    """Return the JSON object of a small call. Raises `InvalidRequest`.

    The body's size is bounded by the middleware at the door.
    """
    with first_part(request) as stream:
        text = stream.read()
    try:
        found = parse_json(text)
    except ValueError as error:
        raise InvalidRequest(
            f"The first part of the form is no JSON text ({error}). {WHAT_TO_SEND}"
        ) from error
    if not isinstance(found, dict):
        raise InvalidRequest(f"The first part of the form is no JSON object. {WHAT_TO_SEND}")
    return found


def read_token(body: dict[str, object]) -> str:
    """Return the token of a call. Raises `InvalidRequest` in Flash's words for what can be none."""
    token = body.get("token")
    if (
        not isinstance(token, str) or not token.isprintable()
    ):  # databases know neither NUL nor lone surrogates
        raise InvalidRequest(NO_SUCH_TOKEN)
    return token


@contextmanager
def first_part(request: HttpRequest) -> Iterator[BinaryIO]:
    """Open the first part of a multipart form for reading from its begin to its end.

    The rest of the body is passed over at the end, so that the client gets to read the answer. Raises
    `InvalidRequest` for a body that is no such form.
    """
    body = LazyStream(ChunkIter(request))
    try:
        yield _first(body, _boundary(request))
    except (MultiPartParserError, SuspiciousMultipartForm, UnreadablePostError) as error:
        raise InvalidRequest(f"The form is cut off or malformed. {WHAT_TO_SEND}") from error
    finally:
        with suppress(UnreadablePostError):
            _pass_over(body)


def _first(body: LazyStream, boundary: bytes) -> BinaryIO:
    """Return the first part, from where its headers end."""
    parts = InterBoundaryIter(body, b"--" + boundary)
    _pass_over(next(parts, ()))  # what lies before the first boundary
    part = io.BufferedReader(_Part(next(parts, None)), BUFFER_BYTES)
    closes = part.readline(HEADERS).strip()  # the rest of the boundary's line: "--" after the last part
    headers = 0
    while not closes and headers < HEADERS and (line := part.readline(HEADERS)):
        if not line.strip():
            return part
        headers += len(line)
    raise InvalidRequest(f"There is no part in this form. {WHAT_TO_SEND}")


def _pass_over(stream: Iterable[bytes]) -> None:
    for _ in stream:
        pass


def _boundary(request: HttpRequest) -> bytes:
    kind, parameters = parse_header_parameters(request.META.get("CONTENT_TYPE", ""))
    boundary = str(parameters.get("boundary", ""))
    if kind.lower() != "multipart/form-data" or not BOUNDARY.fullmatch(boundary):
        raise InvalidRequest(f"This is no multipart form. {WHAT_TO_SEND}")
    return boundary.encode("ascii")


class _Part(io.RawIOBase):
    """A part of a form as a file."""

    def __init__(self, stream: LazyStream | None) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the part goes."""
        piece = self._stream.read(len(buffer)) if self._stream is not None else b""
        buffer[: len(piece)] = piece
        return len(piece)
