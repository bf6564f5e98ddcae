"""What a reader of tables does, whatever the file's format."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..limits import Limits


class Row(NamedTuple):
    """Two fields of a row as they are written; `place` names the row as a person would look for it."""

    place: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class TableReader(ABC):
    """One table in one file, read in memory of a few rows."""

    suffixes: ClassVar[tuple[str, ...]]

    path: Path
    limits: Limits

    @abstractmethod
    def columns(self) -> list[str]:
        """Return the columns' names. Raises `DataError` when the file is none of this format."""

    @abstractmethod
    def rows(self, *, text: str, label: str | None = None) -> Iterator[Row]:
        """Yield one or two columns of every row that is not blank; a value that is missing is "".

        Raises `DataError` that names the row for what cannot be read or is over the limits.
        """
