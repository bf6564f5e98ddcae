"""CSV and TSV with a heading row, in any encoding that a byte order mark names, else in UTF-8."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from .base import Row, TableReader

if TYPE_CHECKING:
    from _csv import Reader

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


def bounded_lines(file: io.TextIOBase, longest: int) -> Iterator[str]:
    """Yield the lines of a text file; `DataError` for one longer than `longest` characters or with NUL."""
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise DataError(f"Row {number} has more than {longest:,} characters. Break it into several.")
        if "\0" in line:
            raise DataError(f"Row {number} holds NUL characters, so this is no text file. Save it in UTF-8.")
        yield line


def wrong_encoding(path: Path, error: UnicodeDecodeError) -> DataError:
    """Return the error of a file that is not in its encoding, with the row where the encoding has lines."""
    where = "The file"
    if error.encoding == "utf-8":
        with path.open("rb") as file:
            where = next(f"Row {number}" for number, line in enumerate(file, start=1) if not _is_utf8(line))
    return DataError(f"{where} is not {error.encoding} text. Save the table in UTF-8.")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


class CsvReader(TableReader):
    """Commas between the fields, or semicolons or tabs where the heading row has more of those."""

    suffixes = (".csv",)
    delimiters = ",;\t"

    def columns(self) -> list[str]:
        """Return the heading row."""
        with self._open() as file:
            return self._header(self._reader(file))

    def rows(self, *, text: str, label: str | None = None) -> Iterator[Row]:
        """Yield the rows, each named by the number of its last line in the file."""
        with self._open() as file:
            reader = self._reader(file)
            header = self._header(reader)
            wanted = [header.index(name) for name in (text, label) if name is not None]
            for count, fields in enumerate(self._fields(reader), start=1):
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

    def _reader(self, file: io.TextIOWrapper) -> "Reader":
        csv.field_size_limit(self.limits.max_field_chars)
        try:
            heading = file.readline(self.limits.max_line_chars)
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.path, error) from error
        file.seek(0)
        delimiter = max(self.delimiters, key=heading.count)  # the first of the best
        return csv.reader(bounded_lines(file, self.limits.max_line_chars), delimiter=delimiter, strict=True)

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
