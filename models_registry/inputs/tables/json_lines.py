"""JSON Lines: one object a line; the first names the columns."""

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from ..errors import DataError
from .base import Row, TableReader
from .delimited import BoundedLines, encoding_of, wrong_encoding

LONGEST_KEY = 1000  # characters, more than any column's name
LONGEST_NUMBER = 100


class JsonLinesReader(TableReader):
    """Objects whose values are texts, numbers or true and false; null is a missing value."""

    suffixes = (".jsonl", ".ndjson")

    def columns(self) -> list[str]:
        """Return the keys of the first object."""
        for _, entry in self._objects():
            return list(entry)
        raise DataError("The file is empty. It should hold one JSON object on each line.")

    def rows(self, *, text: str, label: str | None = None) -> Iterator[Row]:
        """Yield the objects' values; a key that an object does not have is a missing value."""
        wanted = [name for name in (text, label) if name is not None]
        for number, entry in self._objects():
            yield Row(f"row {number}", *(_as_text(entry, name, number) for name in wanted))

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (line number, object) of every line that is not blank."""
        with self.path.open(encoding=encoding_of(self.path)) as file:
            try:
                lines = BoundedLines(file, self.limits.max_line_chars)
                for number, line in enumerate(lines, start=1):
                    lines.end_row()
                    if number > self.limits.max_rows:
                        raise DataError(f"The table has more than {self.limits.max_rows:,} rows, the limit.")
                    if line.strip():
                        yield number, self._object(line, number)
            except UnicodeDecodeError as error:
                raise wrong_encoding(self.path, error) from error

    def _object(self, line: str, number: int) -> dict[str, Any]:
        try:
            entry = _decoder.decode(line)
        except RecursionError as error:
            raise DataError(
                f"Row {number} is nested too deeply. Each line should hold one object."
            ) from error
        except ValueError as error:
            raise DataError(
                f"Row {number} is no JSON ({error}). Each line should hold one object."
            ) from error
        if not isinstance(entry, dict):
            raise DataError(f'Row {number} is no JSON object. Write {{"input": "…", "label": "…"}}.')
        if len(entry) > self.limits.max_columns:
            raise DataError(
                f"Row {number} has {len(entry):,} keys; the limit is {self.limits.max_columns:,}."
            )
        longest = max(map(len, entry), default=0)
        if longest > LONGEST_KEY:
            raise DataError(
                f"Row {number} has a key of {longest:,} characters; the limit is {LONGEST_KEY:,}."
            )
        return entry


def _as_text(entry: dict[str, Any], column: str, number: int) -> str:
    match entry.get(column):
        case None:
            return ""
        case str(text):
            return text
        case bool(truth):
            return "true" if truth else "false"
        case int(value) | float(value):
            return str(value)
    raise DataError(f"Row {number} has a list or an object as {column!r}; it should be a text.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _bounded(digits: str) -> str:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} characters; the limit is {LONGEST_NUMBER:,}")
    return digits


def _int(digits: str) -> int:
    return int(_bounded(digits))


def _float(digits: str) -> float:
    value = float(_bounded(digits))
    return value if math.isfinite(value) else _refuse_constant(digits)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_int, parse_float=_float)
