"""Several tables with the same columns, read as one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple

from ..errors import DataError
from .base import SAMPLE_ROWS, Row, TableFormat, TableReader, row_of
from .columns import UnclearColumns, find_columns_of, likely_columns, resolve_text_column

FEWEST_ROWS = 2  # of a table of one class
SPLIT, LABEL, TEXT = "split", "label", "text"  # columns of what tables are called after, and of their texts


class Piece(NamedTuple):
    """One of several tables; `said` is what its name says of all its rows, by column: a part of a split, or a class."""

    name: str
    reader: TableReader
    said: Mapping[str, str] = {}  # never changed


@dataclass(frozen=True)
class SeveralTables(TableReader):
    """Tables of a zip, or sheets of a workbook, with the same columns, read one after the other.

    Where their names are those of a split's parts (train.csv, test.csv) or of classes (pos.txt, neg.txt), a further
    column says it of each row.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    pieces: Sequence[Piece] = field(kw_only=True)

    def columns(self) -> list[str]:
        """Return the columns of all, and that of what their names say."""
        return [*self._own, *self.pieces[0].said]

    def sample(self) -> list[dict[str, str]]:
        """Return some of the first rows of each."""
        each = max(1, SAMPLE_ROWS // len(self.pieces))
        return [
            {**{name: row.get(own, "") for name, own in self._own.items()}, **piece.said}
            for piece in self.pieces
            for row in piece.reader.sample()[:each]
        ]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows of all, each named by its table and its place there."""
        wanted = [name for name in (text, label, *also) if name is not None]
        own = [name for name in dict.fromkeys(wanted) if name in self._own]
        count = 0
        for piece in self.pieces:
            first, *others = (self._own[name] for name in own or self._own)
            for row in piece.reader.rows(text=first, also=others):
                count += 1
                self.check_count(count)
                place = f"{piece.name}, {row.place}"
                if row.problem:
                    yield Row(place, "", problem=row.problem)
                else:
                    cells = {**dict(zip(own, (row.text, *row.also), strict=False)), **piece.said}
                    yield row_of(place, [cells[name] for name in wanted], also=len(also))

    def format(self) -> TableFormat:
        """Return how the first is understood, with the titles of all."""
        titles = sum(piece.reader.format().titles for piece in self.pieces)
        return self.pieces[0].reader.format()._replace(titles=titles, sheet="")

    def other_readings(self) -> list[tuple[str, str]]:
        """Return those of the first."""
        return self.pieces[0].reader.other_readings()

    @cached_property
    def _own(self) -> dict[str, str]:
        """What the columns of the tables are called here; the only one of tables of a class each holds its texts."""
        own = self.pieces[0].reader.columns()
        is_texts = len(own) == 1 and LABEL in self.pieces[0].said
        return {TEXT: own[0]} if is_texts else {name: name for name in own}


def are_unlabelled(readers: Sequence[TableReader]) -> bool:
    """Tell whether tables have the same columns, one of texts among them and none that may hold their labels.

    Of a first that has labels, as most have, no other is opened.
    """
    try:
        if not is_unlabelled(readers[0]) or len({tuple(reader.columns()) for reader in readers}) != 1:
            return False
        return all(len(reader.sample()) >= FEWEST_ROWS for reader in readers)
    except DataError:
        return False


def is_unlabelled(reader: TableReader) -> bool:
    """Tell whether a table has a column of texts and none that may hold their labels. Raises `DataError`."""
    try:
        resolve_text_column(reader.columns(), sample=reader.sample())
        find_columns_of(reader, {})
    except UnclearColumns:
        return len(reader.columns()) == 1 or not likely_columns(reader)
    return False
