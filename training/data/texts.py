"""Reader of text data sets: CSV with a header; columns are found by name, never by position."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError
from .limits import Limits

BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class TextExamples:
    """Sentences with their labels in the table's order, and the rows that were left out with the reason."""

    path: Path
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def read_text_table(
    path: Path, *, input_column: str = "input", label_column: str = "label", limits: Limits | None = None
) -> TextExamples:
    """Read a CSV. Rows without a text or a label are listed as unreadable.

    Raises `DataError` for a file in an unknown encoding, with NUL characters, without the named
    columns, with rows of another length than the header's, or over the limits; it names the row.
    """
    limits = limits or Limits()
    texts, labels, unreadable = [], [], []
    for number, row in _rows(path, (input_column, label_column), limits):
        text, label = row[input_column].strip(), row[label_column].strip()
        if not text or not label:
            missing = input_column if not text else label_column
            unreadable.append((f"row {number}", f"no {missing}"))
            continue
        texts.append(text)
        labels.append(label)
    return TextExamples(path, tuple(texts), tuple(labels), tuple(unreadable))


def _rows(path: Path, columns: tuple[str, str], limits: Limits) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row by column) of every data row that is not blank."""
    csv.field_size_limit(limits.max_field_chars)
    with path.open("rb") as raw:
        encoding = _encoding(raw.read(4))
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(_without_nul(file), strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, columns)
            for count, fields in enumerate(reader, start=1):
                if count > limits.max_rows:
                    raise DataError(f"The table has more than {limits.max_rows:,} rows, the limit.")
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise DataError(
                        f"Row {reader.line_num} has {len(fields)} fields, the header {len(header)}. "
                        'Put texts that contain commas into double quotes (").'
                    )
                yield reader.line_num, dict(zip(header, fields, strict=True))
        except UnicodeDecodeError as error:
            raise DataError(
                f"Row {reader.line_num + 1} is not {error.encoding} text. Save the table as CSV in UTF-8."
            ) from error
        except csv.Error as error:
            raise DataError(
                f"Row {reader.line_num} cannot be read ({error}). "
                f"Check its quotes; a field may have {limits.max_field_chars:,} characters."
            ) from error


def _encoding(start: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return encoding
    return "utf-8"


def _without_nul(file: io.TextIOWrapper) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise DataError(
                f"Row {number} holds NUL characters, so this is no text file. Save it as CSV in UTF-8."
            )
        yield line


def _check_header(header: list[str], columns: tuple[str, str]) -> None:
    if not header:
        raise DataError("The file is empty. It should be a CSV whose first row names the columns.")
    if len(set(header)) != len(header):
        raise DataError("Two columns have the same name. Rename one.")
    for column in columns:
        if column not in header:
            found = ", ".join(repr(name) for name in header[:20])
            raise DataError(f"There is no column {column!r}. The first row names: {found}.")
