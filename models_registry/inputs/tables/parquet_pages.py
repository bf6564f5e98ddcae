"""What the pages of a Parquet file say of themselves, before anything is unpacked.

The footer's sums are hints that no reader needs; a page's own header says how much memory it takes. It is a
Thrift structure in the compact protocol (apache/parquet-format, parquet.thrift; apache/thrift,
thrift-compact-protocol.md).
"""

import mmap
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError

DICTIONARY_PAGE = 2
DELTA_LENGTH_BYTE_ARRAY = 6
DELTA_BYTE_ARRAY = 7  # values that begin with parts of those before: a few bytes stand for long ones
DEEPEST = 16
# Kinds of values in the compact protocol.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
Value = int | bytes | list["Value"] | dict[int, "Value"] | None
Content = bytes | mmap.mmap
DAMAGED = "This Parquet file cannot be read ({}). Write it anew."
# What damaged numbers lead to.
UNREADABLE = (IndexError, KeyError, TypeError, ValueError, AttributeError, StopIteration, OverflowError)


class Page(NamedTuple):
    """A page: is it a dictionary, its bytes when unpacked, how many values it has and how they are written."""

    is_dictionary: bool
    size: int
    values: int
    encoding: int


def iter_pages(path: Path, columns: Collection[str]) -> Iterator[tuple[str, Page]]:
    """Yield each page of some columns with the column's name. Raises `DataError`.

    Reads the footer by itself: pyarrow ends the process, rather than raising, for some that are damaged.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            length = int.from_bytes(content[-8:-4], "little")
            footer, _ = _Structures(content).read(len(content) - 8 - length)
            chunks = list(_chunks(footer))
        except UNREADABLE as error:
            raise DataError(DAMAGED.format("its footer is damaged")) from error
        for name, start, size in chunks:
            if name in columns:
                for page in _pages(content, start, min(start + size, len(content))):
                    yield name, page


def _chunks(footer: dict[int, Any]) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each column in each group of rows, where its pages begin, and their length in the file."""
    for group in footer[4]:
        for chunk in group[1]:
            described = chunk[3]
            first = min(described[9], described.get(11) or described[9])  # dictionary, if any, or data
            yield b".".join(described[3]).decode(), first, described[7]


def _pages(content: Content, start: int, end: int) -> Iterator[Page]:
    while start < end:
        try:
            header, start = _Structures(content).read(start)
            page: Any = header
            kind, size, packed = page[1], page[2], page[3]
            inner = next(page[field] for field in (5, 7, 8) if field in page)
            values, encoding = inner[1], inner[4 if 8 in page else 2]
            if min(size, packed, values) < 0:
                raise IndexError
        except UNREADABLE as error:
            raise DataError(DAMAGED.format("a page's header is damaged")) from error
        yield Page(kind == DICTIONARY_PAGE, size, values, encoding)
        start += packed


class _Structures:
    """Reads structures; of their values, all but fractions are kept."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._at = 0

    def read(self, start: int) -> tuple[dict[int, Value], int]:
        """Return the structure at `start`, its fields by their numbers, and where it ends."""
        self._at = start
        return self._structure(0), self._at

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise IndexError

    def _zigzag(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _structure(self, depth: int) -> dict[int, Value]:
        fields: dict[int, Value] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Value:
        if depth > DEEPEST:
            raise IndexError
        if kind in (TRUE, FALSE):  # of a field; in a list each takes a byte, and the format has none
            return int(kind == TRUE)
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == STRUCT:
            return self._structure(depth + 1)
        if kind in (BYTE, DOUBLE):
            self._at += 1 if kind == BYTE else 8
        elif kind == BINARY:
            length = self._varint()
            self._at += length
            return self._content[self._at - length : self._at]
        elif kind in (LIST, SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            if count > len(self._content) - self._at:
                raise IndexError
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        else:  # maps, which the format has none of
            raise IndexError
        return None
