"""How a table lies in its first rows: what separates its fields, where its heading is, or that it has none.

Pure functions of some rows.
"""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from ..errors import DataError
from .base import unique_names
from .columns import is_usual_name
from .records import Dialect, Record, read_records, trimmed

DELIMITERS = (",", ";", "\t", "|")
RARE_DELIMITERS = ("^", "~", "\x01", "¦")  # of programs that avoid those
NO_DELIMITER = "\x1f"  # of a table with one column
CONSISTENT = 0.5  # share of the rows that have the same number of fields, at least
TITLES = 10  # lines before the heading, at most
LONGEST_NAME = 120  # characters of a column's name
MUCH_BETTER = 0.05
SAMPLE_AGAIN = 8_000_000  # characters
_is_number = re.compile(r"[-+]?\d+([.,]\d+)?%?").fullmatch


class Layout(NamedTuple):
    """The number of rows before the data, and the columns' names; `has_heading` says whether the table names them."""

    skipped: int
    columns: list[str]
    has_heading: bool
    titles: int = 0


def find_dialect(
    lines: Sequence[str], *, preferred: str, longest: int, separator: str | None = None
) -> Dialect:
    """Return how the fields of some lines are told apart: by `separator`, where a person has named it."""
    if separator:
        best = Dialect(separator)
    elif lines and (named := re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\r\n"), re.IGNORECASE)):
        best = Dialect(named[1])
    else:
        rare = [one for one in RARE_DELIMITERS if 2 * sum(one in line for line in lines) > len(lines)]
        order = [preferred, *(one for one in (*DELIMITERS, *rare) if one != preferred)]
        scores = {Dialect(one): _consistency(lines, Dialect(one), longest) for one in order}
        best = max(scores, key=lambda one: scores[one])  # the first of the best
        if scores[best] < CONSISTENT:
            best = Dialect(NO_DELIMITER)
    if any('\\"' in line for line in lines):
        escaped = best._replace(escapes=True)
        if _consistency(lines, escaped, longest) > _consistency(lines, best, longest) + MUCH_BETTER:
            return escaped
    return _with_other_quotes(lines, best, longest)


def _with_other_quotes(lines: Sequence[str], best: Dialect, longest: int) -> Dialect:
    """Return the dialect with single quotes, or quotes behind blanks, where half of the lines are written so."""
    sign = re.escape(best.delimiter)
    for dialect, begins in (
        (best._replace(skips_blanks=True), re.compile(rf'{sign} +"')),
        (best._replace(quote="'"), re.compile(rf"(^|{sign})'[^']*'({sign}|\s*$)")),
    ):
        is_usual = 2 * sum(bool(begins.search(line)) for line in lines) > len(lines)
        if is_usual and _consistency(lines, dialect, longest) >= _consistency(lines, best, longest):
            return dialect
    return best


def _consistency(lines: Sequence[str], dialect: Dialect, longest: int) -> float:
    """Return the share of the rows that have as many fields as most; more where columns have their usual names."""
    try:
        records = list(read_records(iter(lines), dialect, longest=longest, again=SAMPLE_AGAIN))
    except DataError:
        return 0
    rows = [record.fields for record in records if any(field.strip() for field in record.fields)]
    widths = Counter(len(trimmed(list(row), 1)) for row in rows)
    if not widths:
        return 0
    named = any(len(row) > 1 and any(map(is_usual_name, row)) for row in rows[:TITLES])
    width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]))
    if width < 2:
        # Texts alone: a separator would only be a sign in some of them.
        return 0.6 if named and widths.total() - count else 0
    return count / widths.total() + named


def find_layout(found: Sequence[Sequence[str]], *, heading: bool | None = None) -> Layout:
    """Return where the data of a table begins, from its first rows. Raises ValueError when there is none.

    `heading` is whether the table names its columns, where a person has said so.
    """
    rows: list[list[str]] = [[field.strip() for field in row] for row in found]
    filled = [sum(map(bool, row)) for row in rows]
    usual = Counter(count for count in filled if count).most_common(1)
    if not usual:
        raise ValueError("no rows")
    likely = [number for number, count in enumerate(filled[: TITLES + 1]) if count >= min(2, usual[0][0])]
    named = (
        number for number in likely if sum(map(is_usual_name, rows[number])) > 1
    )  # "by, Ann" may be above it
    start = next(named, next(iter(likely), next(number for number, count in enumerate(filled) if count)))
    first, rest = rows[start], [row for row in rows[start + 1 :] if any(row)]
    titles = sum(map(bool, filled[:start]))
    if _is_heading(first, rest) if heading is None else heading:
        # Columns without a name count as far as rows fill them.
        filled_to = max(
            (len(trimmed(row, 1)) for row in rest if len(trimmed(row, 1)) <= len(first)), default=1
        )
        header = first[: max(len(trimmed(first, 1)), filled_to)]
        if rest and all(len(row) == len(header) + 1 and row[0].isdigit() for row in rest):
            header = ["", *header]  # R names no column for the numbers of rows
        names = unique_names(header)
        return Layout(start + 1, names, True, titles)
    width = max(len(trimmed(list(row), 1)) for row in (first, *rest[:1]))
    width = max(width, _width_that_is_filled(rest, width))
    return Layout(start, unique_names([""] * width), False, titles)


def _width_that_is_filled(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return how many columns there are, with those that most rows fill although the first does not."""
    widths = Counter(len(trimmed(list(row), 1)) for row in rows)
    if not widths:
        return width
    widest, count = widths.most_common(1)[0]
    return widest if count > len(rows) / 2 else width


def _is_heading(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    if any(map(is_usual_name, first)) or not rows:
        return True
    columns = [[row[place] for row in rows if place < len(row) and row[place]] for place in range(len(first))]
    if any(len(name) > LONGEST_NAME or "\n" in name for name in first):
        return False
    if sum(map(bool, first)) == 1:
        return _is_title_of_texts(next(filter(None, first)), max(columns, key=len))
    for name, values in zip(first, columns, strict=True):
        is_of_numbers = values and fmean(bool(_is_number(value)) for value in values) > 0.9
        if name and is_of_numbers and _is_number(name):
            return False
        if len(values) > 3 and name in values and len(set(values)) <= len(values) / 2:
            return False  # a label of others, too
    return True


def _is_title_of_texts(name: str, texts: Sequence[str]) -> bool:
    """Tell whether a line is the name of the column of texts below it, rather than the first of them."""
    if re.fullmatch(r"[a-z_]+\d*", name) and name not in texts:
        return True
    is_short = len(name.split()) <= 3 and len(name) <= 40 and name not in texts
    return is_short and name[-1] not in ".?!。？！" and 2 * len(name) < fmean(map(len, texts))


def fields_of(records: Sequence[Record]) -> list[list[str]]:
    """Return the fields of the rows that have some."""
    return [record.fields for record in records if record.fields]
