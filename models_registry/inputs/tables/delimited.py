"""CSV and TSV with a heading row, in any encoding that a byte order mark names, else in UTF-8."""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from .base import Row, TableReader

if TYPE_CHECKING:
    from _csv import Reader

PIECE = 1 << 16
# The longer marks first: UTF-32's begins with UTF-16's.
BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def encoding_of(path: Path) -> str:
    """Return the encoding that a file's first bytes name; UTF-8 when they name none."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")


class BoundedLines:
    """The lines of a text file; `DataError` for one longer than `longest` characters or with NUL.

    A row of a table may have several lines: whoever has read one calls `end_row`, so that all of them together
    are held to the same bound.
    """

    def __init__(self, file: io.TextIOBase, longest: int) -> None:
        self._file, self._longest = file, longest
        self._number = self._first_of_row = 0
        self._of_row = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._longest + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self._first_of_row = self._first_of_row or self._number
        self._of_row += len(line)
        if self._of_row > self._longest:
            raise DataError(
                f"Row {self._first_of_row} has more than {self._longest:,} characters. Break it into several, and "
                "check its quotes."
            )
        if "\0" in line:
            raise DataError(
                f"Row {self._number} holds NUL characters, so this is no text file. Save it in UTF-8."
            )
        return line

    def end_row(self) -> None:
        """Begin to count anew."""
        self._of_row = self._first_of_row = 0


def wrong_encoding(path: Path, error: UnicodeDecodeError) -> DataError:
    """Return the error of a file that is not in its encoding, with the row where the encoding has lines."""
    where = "The file" if error.encoding != "utf-8" else f"Row {_first_row_not_utf8(path)}"
    return DataError(f"{where} is not {error.encoding} text. Save the table in UTF-8.")


def _first_row_not_utf8(path: Path) -> int:
    """Return the number of the line in which decoding fails, in memory of a piece."""
    decoder, row = codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:  # of what was left of the last piece, and this one
                return row + error.object[: error.start].count(b"\n")
            row += piece.count(b"\n")
    return row


class CsvReader(TableReader):
    """Commas between the fields, or semicolons or tabs where the heading row has more of those."""

    suffixes = (".csv",)
    delimiters = ",;\t"

    def columns(self) -> list[str]:
        """Return the heading row."""
        with self._open() as file:
            return self._header(self._reader(file)[1])

    def rows(self, *, text: str, label: str | None = None) -> Iterator[Row]:
        """Yield the rows, each named by the number of its last line in the file."""
        with self._open() as file:
            lines, reader = self._reader(file)
            header = self._header(reader)
            lines.end_row()
            wanted = [header.index(name) for name in (text, label) if name is not None]
            for count, fields in enumerate(self._fields(reader), start=1):
                lines.end_row()
                if count > self.limits.max_rows:
                    raise DataError(f"The table has more than {self.limits.max_rows:,} rows, the limit.")
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise DataError(
                        f"Row {reader.line_num} has {len(fields)} fields, the heading row {len(header)}. "
                        'Put texts that contain the separator into double quotes (").'
                    )
                yield Row(f"row {reader.line_num}", *(fields[index] for index in wanted))

    def _open(self) -> io.TextIOWrapper:
        return self.path.open(encoding=encoding_of(self.path), newline="")

    def _reader(self, file: io.TextIOWrapper) -> tuple[BoundedLines, "Reader"]:
        csv.field_size_limit(self.limits.max_field_chars)
        try:
            heading = file.readline(self.limits.max_line_chars)
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.path, error) from error
        file.seek(0)
        delimiter = max(self.delimiters, key=heading.count)  # the first of the best
        lines = BoundedLines(file, self.limits.max_line_chars)
        return lines, csv.reader(lines, delimiter=delimiter, strict=True)

    def _header(self, reader: "Reader") -> list[str]:
        header = [name.strip() for name in next(self._fields(reader), [])]
        if not header:
            raise DataError("The file is empty. It should be a table whose first row names the columns.")
        if len(header) > self.limits.max_columns:
            raise DataError(
                f"The table has {len(header):,} columns; the limit is {self.limits.max_columns:,}."
            )
        return header

    def _fields(self, reader: "Reader") -> Iterator[list[str]]:
        """Yield the reader's rows, its errors in a person's words."""
        try:
            yield from reader
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.path, error) from error
        except csv.Error as error:
            raise DataError(
                f"Row {reader.line_num} cannot be read ({error}). "
                f"Check its quotes; a field may have {self.limits.max_field_chars:,} characters."
            ) from error


class TsvReader(CsvReader):
    """Tabs between the fields."""

    suffixes = (".tsv",)
    delimiters = "\t"
