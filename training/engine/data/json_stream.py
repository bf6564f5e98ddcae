"""JSON of any size as events, in memory of some kilobytes.

A streaming parser still gives each string as a whole, and a training document may hold one of a
gigabyte. Strings that are longer than a name ever is are therefore cut out of the text before the
parser sees it, and lie on disk until their event comes.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import ijson

from models_registry.inputs import DataError

PIECE = 1 << 18  # bytes that are read at once
LONGEST_KEPT = 4096  # bytes of a string that stays in the text
LONGEST_BARE = 1024  # bytes without a quote, a bracket, a comma or a space: a number at most
DEEPEST = 16  # levels of objects and lists
IN_MEMORY = 1 << 20  # bytes of a long string before it goes to disk
STANDS_FOR_A_LONG_STRING = "a string that was cut out"
LONGEST_ESCAPE = 6  # bytes: a backslash, u, four digits
_complete = re.compile(rb"(?:[^\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+")
_bare = re.compile(rb'[^\s",:\[\]{}]+')


class Readable(Protocol):
    """What gives bytes piece by piece."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


class LongString:
    """A string's bytes as they stand between the quotes, escapes and all."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(folder))  # noqa: SIM115 - see __del__
        self._has_escapes = False

    def __del__(self) -> None:
        self._file.close()

    def write(self, piece: bytes) -> None:
        """Append to the string."""
        self._has_escapes = self._has_escapes or b"\\" in piece
        self._file.write(piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield the string in pieces, escapes resolved. Raises ValueError for what is no escape."""
        self._file.seek(0)
        left = b""
        while piece := self._file.read(PIECE):
            if self._has_escapes:
                piece, left = _cut_before_escape(left + piece)
                piece = _unescape(piece)
            yield piece
        yield _unescape(left)


def _cut_before_escape(piece: bytes) -> tuple[bytes, bytes]:
    """Cut off an escape at the end that is not complete. Raises ValueError for one that is none."""
    match = _complete.match(piece)
    end = match.end() if match else 0
    if len(piece) - end >= LONGEST_ESCAPE:
        raise ValueError("a backslash that begins no escape")
    return piece[:end], piece[end:]


def _unescape(piece: bytes) -> bytes:
    return str(json.loads(b'"' + piece + b'"')).encode() if b"\\" in piece else piece


def json_events(source: Readable, *, limit: int, folder: Path) -> Iterator[tuple[str, object]]:
    """Yield ijson's events (name, value) of one JSON value; long strings come as `LongString`.

    Those lie in `folder` as long as somebody holds them. Raises `DataError` for what is no JSON, has more
    than `limit` bytes, or is nested more deeply than any document.
    """
    text, depth = _ShortenedText(source, limit, folder), 0
    try:
        for event, value in ijson.basic_parse(text, buf_size=PIECE):
            if event in ("start_map", "start_array"):
                depth += 1
            elif event in ("end_map", "end_array"):
                depth -= 1
            elif value == STANDS_FOR_A_LONG_STRING and text.long is not None:
                value, text.long = text.long, None
            if depth > DEEPEST:
                raise DataError(f"The document is nested more than {DEEPEST} levels deep.")
            if event == "map_key" and isinstance(value, LongString):
                raise DataError(f"A name in the document has more than {LONGEST_KEPT:,} bytes.")
            yield event, value
    except DataError:
        raise
    except (ijson.JSONError, UnicodeError) as error:
        raise DataError(f"The document is no JSON ({_reason(error)}).") from error
    except (
        ArithmeticError,
        ValueError,
    ) as error:  # of the parser, which makes a Decimal of what is no integer
        raise DataError("The document holds a number that is too large to be one.") from error


def _reason(error: Exception) -> str:
    """Return the first line of yajl's complaint; the others quote the document."""
    if isinstance(error, UnicodeError):
        return "a text is no UTF-8: perhaps it holds half a surrogate pair"
    told = error.args[0] if error.args else ""
    words = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    return words.partition("\n")[0]


class _ShortenedText:
    """The parser's view of the source. After each cut-out string it pauses, so that `long` is that one."""

    def __init__(self, source: Readable, limit: int, folder: Path) -> None:
        self.long: LongString | None = None
        self._source, self._limit, self._folder, self._seen = source, limit, folder, 0
        self._text = self._shortened()

    def read(self, size: int = -1) -> bytes:
        """Return the next piece, whatever its size; b"" at the end, and for the 0 that asks for the type."""
        return next(self._text, b"") if size else b""

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._source.read(PIECE):
            self._seen += len(piece)
            if self._seen > self._limit:
                raise DataError(f"The document has more than the {self._limit:,} bytes that one may have.")
            yield piece

    def _shortened(self) -> Iterator[bytes]:
        string: _String | None = None
        bare = 0
        for piece in self._pieces():
            at = 0
            while at < len(piece):
                if string is None:
                    quote = piece.find(b'"', at)
                    end = len(piece) if quote < 0 else quote + 1
                    bare = _check_bare(piece[at:end], bare)
                    yield piece[at:end]
                    string = None if quote < 0 else _String(self._folder)
                    at = end
                    continue
                at = string.take(piece, at)
                if string.ended:
                    self.long = string.long
                    yield string.text()
                    string = None
        if string is not None:
            raise DataError("The document is no JSON (it ends within a string).")


def _check_bare(piece: bytes, before: int) -> int:
    """Refuse endless numbers, which the parser would keep; returns the length of the one at the end."""
    last = 0
    for run in _bare.finditer(piece):
        length = run.end() - run.start() + (before if run.start() == 0 else 0)
        if length > LONGEST_BARE:
            raise DataError(f"The document is no JSON (a number of more than {LONGEST_BARE:,} characters).")
        last = length if run.end() == len(piece) else 0
    return last


class _String:
    """A string whose opening quote has been read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ended = False
        self.long: LongString | None = None
        self._kept = b""
        self._is_escaped = False  # the next byte belongs to the backslash before it

    def take(self, piece: bytes, start: int) -> int:
        """Take the string's bytes from `start` on; returns where it, or the piece, ends."""
        at = start + self._is_escaped
        while True:
            quote = piece.find(b'"', at)
            end = len(piece) if quote < 0 else quote
            backslashes = end - at - len(piece[at:end].rstrip(b"\\"))
            escapes = backslashes % 2 == 1
            if quote >= 0 and escapes:
                at = quote + 1
                continue
            self._is_escaped = quote < 0 and escapes
            self._keep(piece[start:end])
            self.ended = quote >= 0
            return end + self.ended

    def text(self) -> bytes:
        """Return what the parser reads instead, with the closing quote."""
        return (self._kept if self.long is None else STANDS_FOR_A_LONG_STRING.encode()) + b'"'

    def _keep(self, content: bytes) -> None:
        if self.long is None and len(self._kept) + len(content) <= LONGEST_KEPT:
            self._kept += content
            return
        if self.long is None:
            self.long = LongString(self._folder)
            self.long.write(self._kept)
        self.long.write(content)
