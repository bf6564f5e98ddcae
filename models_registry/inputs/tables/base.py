"""What a reader of tables does, whatever the file's format."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..corrections import Corrections
from ..errors import DataError
from ..limits import Limits

SAMPLE_ROWS = 200
NUL = "\udc00"  # what stands for it: csv takes none, and no byte that is no text is kept as this
TOO_LONG = (
    "\udc01"  # stands for a line that is too long, of which nothing is kept but whether its quotes are even
)
BLANK = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad"
)  # with those that take no room


class Row(NamedTuple):
    """Two fields of a row as they are written; `place` names the row as a person would look for it.

    `problem` says why a row cannot be used; it has then no fields. `also` holds the fields of further columns.
    """

    place: str
    text: str
    label: str = ""
    problem: str = ""
    also: tuple[str, ...] = ()


class TableFormat(NamedTuple):
    """What of a table's format can be corrected; "" where a format has no such thing.

    `titles` are the rows above the heading that are no examples.
    """

    encoding: str = ""
    separator: str = ""
    heading: bool = True
    sheet: str = ""
    titles: int = 0


@dataclass(frozen=True)
class TableReader(ABC):
    """One table in one file, read in memory of a few rows; `notes` tell how it was understood.

    What `corrections` say of the file's format holds against what would be guessed. `choices` are what could be read
    instead, by the correction that says so: other sheets of a workbook, other files of a zip.
    """

    suffixes: ClassVar[tuple[str, ...]]

    path: Path
    limits: Limits
    corrections: Corrections = field(default_factory=Corrections, kw_only=True)
    notes: list[str] = field(default_factory=list, compare=False, kw_only=True)
    choices: dict[str, list[str]] = field(default_factory=dict, compare=False, kw_only=True)

    @abstractmethod
    def columns(self) -> list[str]:
        """Return the columns' names. Raises `DataError` when the file is none of this format."""

    @abstractmethod
    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield one or two columns, and those of `also`, of every row that is not blank; a missing value is "".

        A row that cannot be read has a `problem`. Raises `DataError` that names the row for what is over the limits.
        """

    def sample(self) -> list[dict[str, str]]:
        """Return some of the first rows, by column; none where a format does not need them."""
        return []

    def format(self) -> TableFormat:
        """Return how the table was understood, as far as that can be corrected."""
        return TableFormat()

    def other_readings(self) -> list[tuple[str, str]]:
        """Return encodings that may be meant instead of one that was guessed, and how a word reads in each."""
        return []

    def note(self, words: str) -> None:
        """Keep what a person should know of how the table was understood, once."""
        if words not in self.notes:
            self.notes.append(words)

    def check_count(self, count: int) -> None:
        """Raise `DataError` for a table with too many rows."""
        if count > self.limits.max_rows:
            raise DataError(f"The table has more than {self.limits.max_rows:,} rows, the limit.")


def row_of(place: str, fields: Sequence[str], *, also: int) -> Row:
    """Return a row of its wanted fields in order: the text, the label if it is wanted, and `also` further ones."""
    own = len(fields) - also
    return Row(place, fields[0], fields[1] if own > 1 else "", "", tuple(fields[own:]) if also else ())


def unique_names(names: list[str]) -> list[str]:
    """Return the names of columns so that none is there twice; one without a name is called by its place."""
    found: dict[str, int] = {}
    result = []
    for place, given in enumerate(names, start=1):
        name = given.strip().encode("utf-8", "replace").decode() or f"column {place}"
        found[name] = found.get(name, 0) + 1
        result.append(name if found[name] == 1 else f"{name} ({found[name]})")
    return result
