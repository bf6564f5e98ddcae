"""Excel and LibreOffice files: the first sheet that may be a table, else the first that has something in it.

The library reads a sheet whole, and a file of some kilobytes may say that it has billions of cells: it runs in a
process of its own, of bounded memory and time, which passes the rows on as lines of JSON (`sheet_rows.py`).
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from ..errors import DataError
from .base import SAMPLE_ROWS, Row, TableFormat, TableReader, row_of
from .delimited import tell_layout
from .layout import Layout, find_layout
from .records import trimmed

PROGRAM = Path(__file__).with_name("sheet_rows.py")  # by its path: this package would take a second to import
HELP = 'Open it in your spreadsheet program and save it as "CSV UTF-8".'


@dataclass(frozen=True)
class SheetReader(TableReader):
    """The cells of a sheet, in which numbers and dates are as they would be written."""

    suffixes = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

    sheets: list[str] = field(
        default_factory=list, compare=False, kw_only=True
    )  # the one that is read, then others

    def columns(self) -> list[str]:
        """Return the heading row, or "column 1" and so on where there is none."""
        return self._layout.columns

    def sample(self) -> list[dict[str, str]]:
        """Return the first rows, by column."""
        return [dict(zip(self.columns(), row, strict=False)) for row in self._first[self._layout.skipped :]]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows, each named by its number in the sheet."""
        header, skipped = self.columns(), self._layout.skipped
        wanted = [header.index(name) for name in (text, label, *also) if name is not None]
        count = 0
        with contextlib.closing(self._cells()) as rows:
            for number, cells in enumerate(rows, start=1):
                if number <= skipped or not any(cell.strip() for cell in cells):
                    continue
                count += 1
                self.check_count(count)
                fields = [*cells, *[""] * (len(header) - len(cells))]
                yield row_of(f"row {number}", [fields[index] for index in wanted], also=len(also))

    def format(self) -> TableFormat:
        """Return the sheet, and whether it has a heading."""
        found = self._layout
        return TableFormat(heading=found.has_heading, titles=found.titles, sheet=self.sheets[0])

    @cached_property
    def _first(self) -> list[list[str]]:
        with contextlib.closing(self._cells()) as rows:
            return list(islice(rows, SAMPLE_ROWS))

    @cached_property
    def _layout(self) -> Layout:
        first = self._first
        try:
            found = find_layout(first, heading=self.corrections.heading)
        except ValueError:
            raise DataError(
                "The sheet is empty. It should be a table whose first row names the columns."
            ) from None
        if len(found.columns) > self.limits.max_columns:
            raise DataError(
                f"The table has {len(found.columns):,} columns; the limit is {self.limits.max_columns:,}."
            )
        tell_layout(self, found)
        return found

    def _cells(self) -> Generator[list[str]]:
        """Yield the rows of the sheet, the blank ones too."""
        command = [sys.executable, "-P", str(PROGRAM), str(self.path), str(self.limits.max_columns)]
        command += [self.corrections.sheet] if self.corrections.sheet else []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        ) as process:
            try:
                assert process.stdout is not None
                while line := process.stdout.readline():
                    match json.loads(line):
                        case list(cells):
                            yield trimmed(cells, 0)
                        case {"error": str(reason)}:
                            raise DataError(f"This sheet cannot be read ({reason}). {HELP}")
                        case {"missing": str(wanted), "sheets": [*there]}:
                            listed = ", ".join(map(repr, there[:10]))
                            raise DataError(f"There is no sheet {wanted!r}. The workbook has: {listed}.")
                        case {"sheets": [str(used), *others]}:
                            self.sheets[:] = [used, *others]
                            self.choices["sheet"] = others
                            if others:
                                named = ", ".join(map(repr, others[:10]))
                                self.note(f"Read is the sheet {used!r}; the others are left out: {named}.")
                code = process.wait()
                if code:
                    raise DataError(f"This sheet is too large or damaged. {HELP}")
            finally:
                process.kill()
