"""Text data sets: sentences with a label each, from whichever table they lie in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models_registry.inputs import Columns, DataError, Limits, Row, open_table, resolve_columns

from .examples import Unreadable


@dataclass(frozen=True)
class TextExamples:
    """Sentences with their labels in the table's order, and the rows that were left out with the reason."""

    path: Path
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def find_columns(path: Path, columns: dict[str, str], limits: Limits | None = None) -> Columns:
    """Return which columns of a table are meant. Raises `DataError`, as `resolve_columns` does."""
    return resolve_columns(open_table(path, limits).columns(), columns)


def iter_text_table(
    path: Path, *, columns: dict[str, str], limits: Limits | None = None
) -> Iterator[Row | Unreadable]:
    """Yield a table's rows in its order, in memory of a few; without the space around fields.

    A row without a text or a label is `Unreadable`. Raises `DataError` that names the row for a file
    in an unknown encoding, with NUL characters, without the columns, with ragged rows, or over the limits.
    """
    limits = limits or Limits()
    reader = open_table(path, limits)
    found = resolve_columns(reader.columns(), columns)
    for row in reader.rows(text=found.text, label=found.label):
        text, label = row.text.strip(), row.label.strip()
        longest = max(len(text), len(label))
        if longest > limits.max_field_chars:
            raise DataError(
                f"A field of {row.place} has {longest:,} characters; "
                f"a field may have {limits.max_field_chars:,} characters."
            )
        reason = _why_unreadable(text, label, found)
        yield Unreadable(row.place, label, reason) if reason else Row(row.place, text, label)


def _why_unreadable(text: str, label: str, columns: Columns) -> str:
    if not text or not label:
        return f"no {columns.label if text else columns.text}"
    both = text + label
    if "\0" in both:
        return "holds NUL characters"
    if not both.isascii():
        try:
            both.encode()
        except UnicodeEncodeError:  # JSON can write half of a surrogate pair
            return "holds half a character"
    return ""


def read_text_table(
    path: Path, *, input_column: str = "input", label_column: str = "label", limits: Limits | None = None
) -> TextExamples:
    """Read a table whole. Raises what `iter_text_table` raises."""
    texts, labels, unreadable = [], [], []
    for row in iter_text_table(path, columns={"input": input_column, "label": label_column}, limits=limits):
        if isinstance(row, Unreadable):
            unreadable.append((row.name, row.reason))
        else:
            texts.append(row.text)
            labels.append(row.label)
    return TextExamples(path, tuple(texts), tuple(labels), tuple(unreadable))
