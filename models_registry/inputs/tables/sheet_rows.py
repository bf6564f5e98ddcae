"""The process that reads a workbook: `python sheet_rows.py FILE MOST_COLUMNS [SHEET]` prints lines of JSON.

It knows no other module of the project, so that it starts at once. The first line names the sheets, the one that is
read first: the one that is wanted, else the first that may be a table, else the first that has something in it. Then
comes a list of texts for each row; `{"error": …}` or `{"missing": …}` where it cannot be read.
"""

import json
import os
import resource
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TextIO

import python_calamine

MEMORY = 2 << 30  # bytes that the process may address
SECONDS = 120  # of processor time
FEWEST_ROWS, FEWEST_COLUMNS = 3, 2  # of a sheet that may be the table; others are notes
TOO_LARGE = 4  # exit code


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
            cells = [as_text(cell) for cell in row[: most_columns + 1]]
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
