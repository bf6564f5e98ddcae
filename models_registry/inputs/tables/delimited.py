"""CSV and its kin: in whichever encoding, with whichever separator, with or without a heading row."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import BinaryIO, ClassVar

from ..errors import DataError
from .base import NUL, SAMPLE_ROWS, TOO_LONG, Row, TableFormat, TableReader, row_of
from .encodings import Encoding, find_encoding, named_encoding, open_text, other_readings, sample_of
from .layout import NO_DELIMITER, SAMPLE_AGAIN, Layout, fields_of, find_dialect, find_layout
from .records import Dialect, Record, read_records, trimmed

FAULTY = 0.02  # share of lines with NUL, up to which these are faults of a text
SAMPLE_LINES = 1000
PEEKED = 1000  # blank lines before the first
PASSED_OVER = 16  # times the characters that a line may have, of one that is too long
SAMPLE_CHARS = 1 << 18


class BoundedLines:
    """The lines of a text file; `DataError` for one that does not end, and for many with NUL.

    NUL in a few lines becomes half a character, for which their rows are left out; so does a line of more than
    `longest` characters, with a quote behind it where it holds an odd number of them.
    """

    def __init__(self, file: io.TextIOBase, longest: int) -> None:
        self.file, self._longest = file, longest
        self._number = self._with_nul = 0
        self.has_too_long = False

    def peek(self) -> str:
        """Return what the first line that is not blank begins with; to be called before all others."""
        for _ in range(PEEKED):
            line = self.file.readline(self._longest)
            if not line or line.strip():
                if line.strip() in ("[", "{"):
                    line += self.file.readline(self._longest)
                return line
        return ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.file.readline(self._longest + 1)
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) > self._longest:
            return self._passed_over(line)
        if "\0" not in line:
            return line
        self._with_nul += 1
        if self._with_nul > max(1, FAULTY * self._number):
            raise DataError(
                f"Row {self._number} holds NUL characters, so this is no text file. Save it in UTF-8."
            )
        return line.replace("\0", NUL)

    def _passed_over(self, line: str) -> str:
        """Read a line that is too long to its end; returns what stands for it. Raises `DataError` where it has none."""
        quotes, self.has_too_long = 0, True
        for _ in range(PASSED_OVER):
            quotes += line.count('"')
            if not line or line.endswith("\n"):
                return TOO_LONG + '"' * (quotes % 2) + "\n"
            line = self.file.readline(self._longest)
        raise DataError(
            f"Row {self._number} has more than {self._longest:,} characters. Break it into several, and "
            "check its quotes."
        )


@dataclass(frozen=True)
class TextFile(TableReader):
    """A table that is text, in a file or in what a file holds packed."""

    def open_bytes(self) -> BinaryIO:
        """Open the file from its start."""
        return self.path.open("rb")

    def bytes_count(self) -> int | None:
        """Return the size of what `open_bytes` opens; None where only reading tells."""
        return self.path.stat().st_size

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding that the file is in."""
        if self.corrections.encoding:
            return named_encoding(self.corrections.encoding)
        with self.open_bytes() as file:
            found = find_encoding(sample_of(file, self.bytes_count()))
        if found.doubt:
            self.note(found.doubt)
        return found

    def other_readings(self) -> list[tuple[str, str]]:
        """Return encodings that may be meant, where the file does not say which it is in."""
        if not (self.encoding.doubt or self.corrections.encoding):
            return []
        with self.open_bytes() as file:
            return other_readings(sample_of(file, self.bytes_count()), self.encoding.name)

    @contextlib.contextmanager
    def lines(self) -> Iterator[BoundedLines]:
        """Open the file as lines. Raises `DataError` for a file that is not in its encoding."""
        encoding = self.encoding
        with self.open_bytes() as file, open_text(file, encoding) as text:
            try:
                yield BoundedLines(text, self.limits.max_line_chars)
            except UnicodeDecodeError as error:
                raise DataError(f"The file is not {error.encoding} text. Save the table in UTF-8.") from error

    @property
    def why_too_long(self) -> str:
        """Why a row with a line that was too long is left out."""
        return f"has a line of more than {self.limits.max_line_chars:,} characters"


@dataclass(frozen=True)
class CsvReader(TextFile):
    """Fields between commas, semicolons, tabs or pipes, whichever the rows have most evenly."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".txt")

    def columns(self) -> list[str]:
        """Return the heading row, or "column 1" and so on where there is none."""
        return self._layout.columns

    def sample(self) -> list[dict[str, str]]:
        """Return the first rows, by column."""
        rows = fields_of(self._sample[1])[self._layout.skipped :]
        return [dict(zip(self.columns(), row, strict=False)) for row in rows[:SAMPLE_ROWS]]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows, each named by the number of its first line in the file."""
        header, skipped = self.columns(), self._layout.skipped
        wanted = [header.index(name) for name in (text, label, *also) if name is not None]
        pick = itemgetter(*wanted) if len(wanted) > 1 else lambda fields: (fields[wanted[0]],)
        width, further = len(header), len(also)
        with self.lines() as lines:
            seen = count = 0
            for record in self._records(lines, width=width):
                if record.fields:
                    seen += 1
                    if seen <= skipped:
                        continue
                elif not record.problem:
                    continue
                fields = record.fields if len(record.fields) <= width else trimmed(record.fields, width)
                if width > 1 and not record.problem and _are_blank(fields):
                    continue
                count += 1
                self.check_count(count)
                place = f"row {record.line}"
                if lines.has_too_long and any(TOO_LONG in field for field in fields):
                    yield Row(place, "", problem=self.why_too_long)
                elif record.problem:
                    yield Row(place, "", problem=record.problem)
                elif len(fields) > width:
                    yield Row(place, "", problem=self._too_wide(len(fields), width))
                else:
                    if len(fields) < width:
                        fields += [""] * (width - len(fields))
                    yield row_of(place, pick(fields), also=further)

    def format(self) -> TableFormat:
        """Return the encoding, the separator, and whether there is a heading."""
        separator = self._dialect.delimiter
        return TableFormat(
            encoding=self.encoding.name,
            separator="" if separator == NO_DELIMITER else separator,
            heading=self._layout.has_heading,
            titles=self._layout.titles,
        )

    def _too_wide(self, fields: int, width: int) -> str:
        separator = self._dialect.delimiter
        shown = {"\t": "tab"}.get(separator, separator)
        return (
            f"has {fields} fields, the table {width} columns; put a text that holds "
            f'the separator ({shown}) into double quotes (")'
        )

    def _records(self, lines: Iterator[str], width: int | None = None) -> Iterator[Record]:
        return read_records(lines, self._dialect, longest=self.limits.max_line_chars, width=width)

    @property
    def _dialect(self) -> Dialect:
        return self._sample[0]

    @cached_property
    def _sample(self) -> tuple[Dialect, list[Record]]:
        """The dialect of the table, and its first rows."""
        taken, chars, is_whole = [], 0, True
        with self.lines() as lines:
            for line in islice(lines, SAMPLE_LINES):
                taken.append(line)
                chars += len(line)
                if chars > SAMPLE_CHARS:
                    is_whole = False
                    break
            else:
                is_whole = next(lines, None) is None
        preferred = "\t" if self.path.suffix.lower() in (".tsv", ".tab", ".txt") else ","
        longest = self.limits.max_line_chars
        dialect = find_dialect(
            taken, preferred=preferred, longest=longest, separator=self.corrections.separator
        )
        records = list(read_records(iter(taken), dialect, longest=longest, again=SAMPLE_AGAIN))
        return dialect, records if is_whole or len(records) < 3 else records[:-1]

    @cached_property
    def _layout(self) -> Layout:
        dialect, records = self._sample
        rows = fields_of(records)
        is_named = bool(rows) and dialect.delimiter != NO_DELIMITER and rows[0][0].lower().startswith("sep=")
        try:
            found = find_layout(rows[is_named:], heading=self.corrections.heading)
        except ValueError:
            raise DataError(
                "The file is empty. It should be a table whose first row names the columns."
            ) from None
        found = found._replace(skipped=found.skipped + is_named)
        if len(found.columns) > self.limits.max_columns:
            raise DataError(
                f"The table has {len(found.columns):,} columns; the limit is {self.limits.max_columns:,}."
            )
        tell_layout(self, found)
        return found


def _are_blank(fields: Sequence[str]) -> bool:
    return not fields[0].strip() and not any(map(str.strip, fields))


def tell_layout(reader: TableReader, layout: Layout) -> None:
    """Note what a person may not expect of how a table's first rows are understood."""
    if layout.titles:
        rows = "row" if layout.titles == 1 else f"{layout.titles} rows"
        reader.note(
            f"The first {rows} above the table's heading {'is' if layout.titles == 1 else 'are'} left out."
        )
    if not layout.has_heading and reader.corrections.heading is None:
        reader.note("The table has no heading row: its first row is used as an example, too.")
