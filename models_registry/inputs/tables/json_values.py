"""JSON: objects, one a line or in a list; the first ones name the columns."""

import contextlib
import json
import math
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, NamedTuple, NoReturn

from ..errors import DataError
from .base import TOO_LONG, Row, TableFormat, row_of
from .delimited import TextFile
from .json_shapes import each_of_several, row_of_chat, rows_of_object

LONGEST_KEY = 1000  # characters, more than any column's name
LONGEST_NUMBER = 100
MOST_FLAT = 1000  # values of an object with those inside


WHITE = " \t\r\n,"
PIECE = 1 << 16  # characters that are read at once of a list
WHOLE_BYTES = 4 << 20  # of a file that is one object
DEEPEST = 12  # levels of objects whose keys become columns
HEADS = 100  # objects whose keys are the columns


class _Bad(NamedTuple):
    """A line that is no JSON, below others that are, and why."""

    reason: str


@dataclass(frozen=True)
class JsonReader(TextFile):
    """Objects, one a line or in a list; null is a missing value, as is NaN, which pandas writes.

    Keys of objects inside are columns with a dot ("data.text"); of a list with one value, the value counts.
    A list of texts is a table with the column "text", one of lists has the columns "column 1" and so on; of a chat
    with one answer, what is asked is in "text" and the answer in "label".
    """

    suffixes: ClassVar[tuple[str, ...]] = (".json", ".jsonl", ".ndjson")

    def columns(self) -> list[str]:
        """Return the keys of the first objects."""
        found: dict[str, None] = {}
        for row in self._heads:
            found.update(dict.fromkeys(row))
        if not found:
            raise DataError("The file is empty. It should hold one JSON object on each line.")
        if len(found) > self.limits.max_columns:
            raise DataError(f"The table has {len(found):,} keys; the limit is {self.limits.max_columns:,}.")
        return list(found)

    def sample(self) -> list[dict[str, str]]:
        """Return the first objects."""
        return [{name: _as_text(value) for name, value in row.items()} for row in self._heads]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the objects' values; a key that an object does not have is a missing value."""
        wanted = [name for name in (text, label, *also) if name is not None]
        for count, (number, row) in enumerate(self._objects(), start=1):
            self.check_count(count)
            if isinstance(row, _Bad):
                yield Row(f"row {number}", "", problem=row.reason)
            else:
                yield row_of(f"row {number}", [_as_text(row.get(name)) for name in wanted], also=len(also))

    def format(self) -> TableFormat:
        """Return the encoding."""
        return TableFormat(encoding=self.encoding.name)

    @cached_property
    def _heads(self) -> list[dict[str, object]]:
        heads: list[dict[str, object]] = []
        bad = ""
        with contextlib.closing(self._objects()) as objects:
            try:
                for number, row in islice(objects, HEADS):
                    if isinstance(row, _Bad):
                        bad = bad or f"Row {number} {row.reason}."
                    else:
                        heads.append(row)
            except DataError:  # further on, of which who reads the rows is told
                if not heads:
                    raise
        if bad and not heads:
            raise DataError(f"{bad} No other row can be read.")
        return heads

    def _objects(self) -> Generator[tuple[int, dict[str, object] | _Bad]]:
        with self.lines() as lines:
            start = lines.peek()
        if re.match(r"\s*\[\s*[\[{\"\]]", start):
            found = self._listed()
        elif (whole := self._whole(start)) is not None:
            found = iter(whole)
        else:
            found = self._lined()
        for number, entry in found:
            if isinstance(entry, _Bad):
                yield number, entry
                continue
            checked = self._checked(entry, number)
            if chat := row_of_chat(checked):
                self.note(
                    "Of each chat, what the user says is the text, and the assistant's answer its label."
                )
            for row in each_of_several(chat or checked):
                yield number, _flat(row)

    def _lined(self) -> Iterator[tuple[int, object]]:
        """Yield (line number, value) of every line that is not blank. Raises `DataError` when the first is no JSON."""
        is_json = False
        with self.lines() as lines:
            for number, line in enumerate(lines, start=1):
                self.check_count(number)
                if not line.strip():
                    continue
                if line.startswith(TOO_LONG):
                    yield number, _Bad(self.why_too_long)
                    continue
                try:
                    yield number, _decode(line, number)
                except DataError as error:
                    if not is_json:
                        raise
                    yield number, _Bad(f"is no JSON, {error.__cause__}")
                is_json = True

    def _listed(self) -> Iterator[tuple[int, object]]:
        """Yield (number, value) of a list, of which no more than a value is in memory."""
        with self.lines() as lines:
            file, number, at, is_all = lines.file, 0, 0, False
            buffer = file.read(PIECE).lstrip().removeprefix("[")
            while True:
                while at < len(buffer) and buffer[at] in WHITE:
                    at += 1
                if buffer.startswith("]", at):
                    return
                try:
                    value, end = _decoder.raw_decode(buffer, at)
                    if end == len(buffer) and not is_all:
                        raise ValueError  # a number may go on
                except RecursionError as error:
                    raise DataError(f"Row {number + 1} is nested too deeply.") from error
                except ValueError as error:
                    buffer, at = buffer[at:], 0
                    if is_all:
                        reason = str(error) if buffer else "the list does not end"
                        raise DataError(
                            f"Row {number + 1} is no JSON ({reason}). Write the file anew."
                        ) from error
                    if len(buffer) > self.limits.max_line_chars:
                        raise DataError(
                            f"Row {number + 1} is no JSON, or has more than "
                            f"{self.limits.max_line_chars:,} characters."
                        ) from error
                    piece = file.read(max(PIECE, len(buffer)))
                    is_all = not piece
                    buffer += piece
                else:
                    number += 1
                    yield number, value
                    at = end

    def _whole(self, start: str) -> Sequence[tuple[int, object]] | None:
        """Return the rows of a file that is one object over several lines, or one of columns; None for another."""
        is_lines = self.path.suffix.lower() in (".jsonl", ".ndjson")
        if is_lines or not start.lstrip().startswith("{") or (self.bytes_count() or 0) > WHOLE_BYTES:
            return None
        with self.lines() as lines:
            text = lines.file.read(WHOLE_BYTES + 1)
        if len(text) > WHOLE_BYTES:
            return None
        try:
            entry = _decoder.decode(text)
        except (ValueError, RecursionError):
            return _one_after_the_other(text)
        return list(enumerate(rows_of_object(entry), start=1))

    def _checked(self, entry: object, number: int) -> dict[str, object]:
        if isinstance(entry, str):
            return {"text": entry}
        if isinstance(entry, list):
            return {f"column {place}": value for place, value in enumerate(entry[: MOST_FLAT + 1], start=1)}
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


def _one_after_the_other(text: str) -> Sequence[tuple[int, object]] | None:
    """Return objects that follow one another, each over several lines; None for a line each, or what is no JSON."""
    if _is_json(text.partition("\n")[0].strip().rstrip(",")):
        return None
    found: list[tuple[int, object]] = []
    at = len(text) - len(text.lstrip())
    while at < len(text):
        try:
            value, at = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        found.append((len(found) + 1, value))
        while at < len(text) and text[at] in WHITE:
            at += 1
    return found


def _is_json(line: str) -> bool:
    try:
        _decoder.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _decode(line: str, number: int) -> object:
    try:
        return _decoder.decode(line.rstrip().removesuffix(","))
    except RecursionError as error:
        raise DataError(f"Row {number} is nested too deeply. Each line should hold one object.") from error
    except ValueError as error:
        raise DataError(f"Row {number} is no JSON ({error}). Each line should hold one object.") from error


def _flat(entry: Mapping[str, object]) -> dict[str, object]:
    """Return an object's values by their keys, those of objects inside by "key.key"."""
    found: dict[str, Any] = {}

    def add(prefix: str, value: Any, depth: int) -> None:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
            if isinstance(value, list) and depth < DEEPEST:
                return add(prefix, value, depth + 1)
        if isinstance(value, dict) and depth < DEEPEST and len(prefix) < LONGEST_KEY:
            for key, inner in value.items():
                add(f"{prefix}.{key}", inner, depth + 1)
        elif len(found) < MOST_FLAT:
            found[prefix] = value
        return None

    for key, value in entry.items():
        add(key.strip(), value, 0)
    return found


def _as_text(value: object) -> str:
    match value:
        case None | [] | {}:
            return ""
        case str(text):
            return text
        case bool(truth):
            return "true" if truth else "false"
        case float(number) if number.is_integer() and abs(number) < 1e15:
            return str(int(number))
        case int(number) | float(number):
            return str(number)
    return json.dumps(value, ensure_ascii=False)


def _missing(name: str) -> None:
    """Read NaN, which Python writes for a missing value, and infinities as null."""


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


_decoder = json.JSONDecoder(parse_constant=_missing, parse_int=_int, parse_float=_float)
