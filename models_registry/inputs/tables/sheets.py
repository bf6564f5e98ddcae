"""Excel and LibreOffice files: the first sheet that may be a table, else the first that has something in it.

The library reads a sheet whole, and a file of some kilobytes may say that it has billions of cells: it runs in a
process of its own, of bounded memory and time, which passes the rows on as lines of JSON.
`python -m models_registry.inputs.tables.sheets FILE` is that process.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TextIO

from ..errors import DataError
from .base import SAMPLE_ROWS, Row, TableFormat, TableReader, row_of
from .delimited import tell_layout
from .layout import Layout, find_layout
from .records import trimmed

MEMORY = 2 << 30  # bytes that the process may address
SECONDS = 120  # of processor time
FEWEST_ROWS, FEWEST_COLUMNS = 3, 2  # of a sheet that may be the table; others are notes
UNREADABLE, TOO_LARGE = 3, 4  # exit codes
ROOT = Path(__file__).parents[3]
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
        command = [sys.executable, "-m", __name__, str(self.path), str(self.limits.max_columns)]
        command += [self.corrections.sheet] if self.corrections.sheet else []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=ROOT
        ) as process:
            try:
                assert process.stdout is not None
                while line := process.stdout.readline():
                    match json.loads(line):
                        case list(cells):
                            yield cells
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


def _limit_this_process() -> None:
    """Bound memory and time; a file may make a library want any of both."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard),) * 2)


def _write_rows(path: Path, out: TextIO, most_columns: int, wanted: str) -> None:
    """Write the names of the filled sheets, and a line for each row of the one that is wanted, or of the first.

    Blank rows above it are included.
    """
    import python_calamine

    with path.open("rb") as file:
        book = python_calamine.CalamineWorkbook.from_filelike(file)
        visible = [
            one.name
            for one in book.sheets_metadata
            if one.visible == python_calamine.SheetVisibleEnum.Visible
        ]
        sheets = {name: book.get_sheet_by_name(name) for name in visible}
        filled = [name for name, sheet in sheets.items() if sheet.height] or visible[:1]
        filled.sort(key=lambda name: sheets[name].height < FEWEST_ROWS or sheets[name].width < FEWEST_COLUMNS)
        if wanted:
            if wanted not in sheets:
                out.write(json.dumps({"missing": wanted, "sheets": visible}) + "\n")
                return
            filled = [wanted, *(name for name in filled if name != wanted)]
        out.write(json.dumps({"sheets": filled}) + "\n")
        sheet = sheets[filled[0]]
        for _ in range(sheet.start[0] if sheet.start else 0):
            out.write("[]\n")
        for row in sheet.iter_rows():
            cells = trimmed([as_text(cell) for cell in row[: most_columns + 1]], 0)
            out.write(json.dumps(cells) + "\n")


def main() -> int:
    """Print the rows of a file's first filled sheet; returns the exit code."""
    path, most_columns, wanted = sys.argv[1], int(sys.argv[2]), "".join(sys.argv[3:])
    _limit_this_process()
    out = os.fdopen(1, "w", encoding="utf-8", errors="surrogatepass")
    try:
        _write_rows(Path(path), out, most_columns, wanted)
    except MemoryError:
        return TOO_LARGE
    except Exception as error:  # whatever the library raises on damaged files
        out.write(json.dumps({"error": str(error).partition("\n")[0][:200] or type(error).__name__}) + "\n")
    out.flush()
    return 0


def as_text(cell: object) -> str:
    """Return a cell as it would be written into a CSV."""
    match cell:
        case bool(truth):
            return "TRUE" if truth else "FALSE"
        case float(number) if number.is_integer() and abs(number) < 1e15:
            return str(int(number))
        case datetime():
            return cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
    return str(cell)


if __name__ == "__main__":
    sys.exit(main())
