"""Text data sets: sentences with a label each, from whichever table they lie in."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models_registry.inputs import (
    BLANK,
    NUL,
    Columns,
    Corrections,
    DataError,
    Limits,
    Row,
    TableReader,
    find_columns_of,
    open_table,
    part_of_cell,
)

from .examples import LeftOut, Progress, Unreadable
from .labels import alone

SHOWN = 40  # characters of a cell in a message
REMEMBERED, SHORT = 1_000, 200  # labels that are read once, and their characters at the most
NOT_WANTED = "rows of classes that are left out"


@dataclass(frozen=True)
class TextExamples:
    """Sentences with their labels in the table's order, and the rows that were left out with the reason.

    `parts` are those of the table's own split, "" where it has none; `groups` are what the column of groups says, ""
    where it says nothing, and empty without such a column.
    """

    path: Path
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    parts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def find_columns(
    path: Path,
    columns: dict[str, str],
    limits: Limits | None = None,
    corrections: Corrections | None = None,
) -> Columns:
    """Return which columns of a table are meant. Raises `DataError`, as `find_columns_of` does."""
    return find_columns_of(open_table(path, limits, corrections), columns)


def iter_text_table(
    path: Path,
    *,
    columns: Mapping[str, str],
    limits: Limits | None = None,
    corrections: Corrections | None = None,
) -> Iterator[Row | Unreadable | LeftOut]:
    """Yield a table's rows in its order, in memory of a few; without the space around fields.

    `also` of each row holds its part, "train", "valid", "test" or "", and its group, "" without one. A row without a
    text or a label, with too many fields or with bytes that are no text is `Unreadable`; one of a class that
    corrections leave out is `LeftOut`. Raises `DataError` that names the row for a file with NUL characters, without
    the columns, or over the limits.
    """
    reader = open_table(path, limits, corrections)
    return iter_rows(reader, find_columns_of(reader, columns))


def iter_rows(reader: TableReader, found: Columns) -> Iterator[Row | Unreadable | LeftOut]:
    """Yield a reader's rows, as `iter_text_table` does, under the classes that the reader's corrections want."""
    most, total = reader.limits.max_field_chars, 0
    further = [name for name in (found.split, found.group) if name]
    read_label = _label_reader(reader.corrections)
    for row in reader.rows(text=found.text, label=found.label, also=further):
        total += len(row.text)
        if total > reader.limits.max_bytes:  # a dictionary's text may stand in every row
            raise DataError(
                f"The texts have more than {reader.limits.max_bytes:,} characters together, the limit."
            )
        text, (label, name) = row.text.strip(BLANK), read_label(row.label)
        cell, group = _further_cells(row, found) if further else ("", "")
        part = part_of_cell(cell, found.split) if cell else ""
        reason = row.problem or _why_unreadable(text, label, found, most)
        if part is None:
            reason = reason or f"{cell[:SHOWN]!r} in {found.split!r} is no part of a split"
        if reason:
            is_known = len(label) <= most and _is_whole(label) and part != "test"
            yield Unreadable(row.place, (name or "") if is_known and label else "", reason)
        elif name is None:
            yield LeftOut(row.place, label, NOT_WANTED)
        else:
            yield Row(row.place, text, name, "", (part or "", group))


def _label_reader(corrections: Corrections) -> Callable[[str], tuple[str, str | None]]:
    """Return what reads a cell as a label and its class, None for one that is left out: few labels, many rows."""

    def read(cell: str) -> tuple[str, str | None]:
        label = alone(cell.strip(BLANK))
        name = corrections.class_of(label)
        return label, name if name is None else sys.intern(name)

    remembered = lru_cache(REMEMBERED)(read)
    return lambda cell: remembered(cell) if len(cell) <= SHORT else read(cell)


def _further_cells(row: Row, columns: Columns) -> tuple[str, str]:
    """Return what a row has in the columns of the split and of the groups; "" for a column that there is not."""
    cells = iter(row.also)
    return (next(cells, "") if columns.split else "", next(cells, "").strip(BLANK) if columns.group else "")


def _why_unreadable(text: str, label: str, columns: Columns, most: int) -> str:
    if not text or not label:
        return f"no {columns.label if text else columns.text}"
    if max(len(text), len(label)) > most:
        return (
            f"has {max(len(text), len(label)):,} characters in a field; a field may have {most:,} characters"
        )
    is_ascii = text.isascii() and label.isascii()
    if "\0" in text or "\0" in label or (not is_ascii and NUL in text + label):
        return "holds NUL characters"
    if is_ascii or _is_whole(text + label):
        return ""
    if any("\udc80" <= sign <= "\udcff" for sign in text + label):
        return "holds bytes that are no text in the table's encoding"
    return "holds half a character"  # JSON can write half of a surrogate pair


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_text_table(
    path: Path,
    columns: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    corrections: Corrections | None = None,
    *,
    progress: Progress | None = None,
) -> TextExamples:
    """Read a table whole. Raises what `iter_text_table` raises.

    `progress` is told of each row, and may raise to stop.
    """
    texts, labels, parts, groups = [], [], [], []
    unreadable = []
    reader = open_table(path, limits, corrections)
    found = find_columns_of(reader, columns or {})
    for done, row in enumerate(iter_rows(reader, found), start=1):
        if progress is not None:
            progress(done, 0)
        if isinstance(row, Unreadable):
            unreadable.append((row.name, row.reason))
        elif isinstance(row, Row):
            part, group = row.also
            texts.append(row.text)
            labels.append(row.label)
            parts.append(part)
            groups.append(group)
    named = tuple(groups) if found.group else ()
    return TextExamples(path, tuple(texts), tuple(labels), tuple(unreadable), tuple(parts), named)
