"""Rows of delimited text, one by one; a quote out of place costs its own row at most."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DataError
from .base import TOO_LONG

MOST_LINES = 20_000  # of a row
RESCANNED = 256_000_000  # characters that are read once more because of stray quotes, of a table


class Dialect(NamedTuple):
    """How fields are told apart; `escapes` says that a backslash stands before a quote.

    `skips_blanks` says that blanks ahead of a field are none of it, so that a quote may follow them.
    """

    delimiter: str
    escapes: bool = False
    quote: str = '"'
    skips_blanks: bool = False


class Record(NamedTuple):
    """The number of a row's first line, and its fields or why it has none."""

    line: int
    fields: list[str]
    problem: str = ""


class _TooLong(Exception):
    pass


class _Lines:
    """Lines, those of a row after those of the row before: `taken`, from the line with the number `first` on.

    All but the first of a row can be given back.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect, longest: int) -> None:
        self._lines, self._dialect, self._longest = lines, dialect, longest
        self._back: deque[str] = deque()
        self.first = 1
        self.taken: list[str] = []
        self._chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.taken.append(line)
        self._chars += len(line)
        if self._chars > self._longest or len(self.taken) > MOST_LINES:
            raise _TooLong
        if line[:1] == TOO_LONG and line.rstrip() != TOO_LONG:
            # A quote that opens a field, or ends the one before, as the one in the line does that it stands for.
            return f"{self._dialect.quote}{self._dialect.delimiter}{TOO_LONG}\n"
        return line

    def end_row(self) -> None:
        self.first += len(self.taken)
        self.taken.clear()
        self._chars = 0

    def give_back_all_but_first(self) -> int:
        """Return how many characters are to be read again."""
        self._back.extendleft(reversed(self.taken[1:]))
        again = self._chars - len(self.taken[0])
        del self.taken[1:]
        self.end_row()
        return again


def read_records(
    lines: Iterator[str], dialect: Dialect, *, longest: int, width: int | None = None, again: int = RESCANNED
) -> Iterator[Record]:
    """Yield the rows. `lines` are no longer than `longest` characters, nor may rows be.

    Where a quote is not closed as it should be, the line in which it opens is read without quotes, if that gives
    `width` fields (None: whatever it gives), and reading goes on with the next line. Raises `DataError` when a row is
    too long, or too much would have to be read again.
    """
    # All readers of the process share it, so that it is only ever raised; `_Lines` keeps to `longest`.
    csv.field_size_limit(max(longest, csv.field_size_limit()))
    source, rescanned = _Lines(lines, dialect, longest), 0
    reader = _reader(source, dialect)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            first, plain = source.first, _plain(source.taken[0], dialect)
            fits = width is None or len(trimmed(plain, width)) == width
            if isinstance(error, _TooLong) and not fits:
                raise DataError(
                    f"Row {first} has more than {longest:,} characters or {MOST_LINES:,} lines in a field. "
                    "Break it into several, and check its quotes."
                ) from None
            rescanned += source.give_back_all_but_first()
            if rescanned > again:
                raise DataError(
                    f"Row {first} and others before it have a quote that is not closed. Check the table's quotes."
                ) from None
            reader = _reader(source, dialect)
            yield Record(first, plain if fits else [], "" if fits else "has a quote out of place")
        else:
            first = source.first
            if width is not None and len(source.taken) > 1 and len(trimmed(fields, width)) > width:
                # A stray quote that another one has closed, rows later?
                plain = _plain(source.taken[0], dialect)
                if len(trimmed(plain, width)) == width and rescanned <= again:
                    rescanned += source.give_back_all_but_first()
                    reader = _reader(source, dialect)
                    yield Record(first, plain)
                    continue
            source.end_row()
            yield Record(first, fields)


def trimmed(fields: list[str], width: int) -> list[str]:
    """Return the fields without the empty ones beyond the heading's width, which spreadsheets write."""
    end = len(fields)
    while end > width and not fields[end - 1].strip():
        end -= 1
    return fields[:end]


def _plain(line: str, dialect: Dialect) -> list[str]:
    """Return the fields of a line in which quotes are signs like others."""
    return line.rstrip("\r\n").split(dialect.delimiter)


def _reader(source: Iterator[str], dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(
        source,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        escapechar="\\" if dialect.escapes else None,
        doublequote=not dialect.escapes,
        skipinitialspace=dialect.skips_blanks,
        strict=True,
    )
