"""The plan of a table, from its rows or, of one that is not all there, from the first of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from models_registry.artifacts.metadata import TEXT_CLASSIFICATION
from models_registry.inputs import (
    Columns,
    Corrections,
    DataError,
    Limits,
    Part,
    Row,
    TableReader,
    UnclearColumns,
    find_columns_of,
    open_table,
    part_of_cell,
)

from ..examples import LeftOut, Unreadable
from ..labels import tell_alike, why_no_classes
from ..left_out import Reasons
from ..texts import iter_rows
from .base import DataPlan, judge_classes, shortened, why_too_few
from .suggestions import suggest_for_tables

SHOWN_ROWS = 5
TITLES = "rows above the table's heading"
MOST_CLASSES = 2_000  # that are counted one by one
BROKEN_OFF = 50  # rows at the end of a beginning, among which one that is cut through may look like several
QUOTE = "has a quote out of place"
UNKNOWN = "What is in this file shows when all of it is there."

Found = Row | Unreadable | LeftOut
Patience = Callable[[], bool]  # whether there is time for more rows


def plan_table_file(
    path: Path,
    corrections: Corrections,
    limits: Limits,
    *,
    is_whole: bool,
    patience: Patience = lambda: True,
) -> DataPlan:
    """Plan a table, as far as there is time for it; what cannot be read at all is a plan with a problem."""
    plan = DataPlan(TEXT_CLASSIFICATION, corrections=corrections.to_json())
    reader = None
    try:
        reader = open_table(path, limits, corrections)
        _describe_format(plan, reader)
        columns = find_columns_of(reader, corrections.columns)
    except DataError as error:
        _explain(plan, error, is_whole=is_whole)
    else:
        _count(plan, reader, columns, is_whole=is_whole, patience=patience)
    if reader is not None:
        plan.sheets, plan.members = (reader.choices.get(key, []) for key in ("sheet", "member"))
    plan.suggestions = suggest_for_tables(path, plan, corrections, limits)
    return plan


def plan_unseen(corrections: Corrections) -> DataPlan:
    """Return the plan of tables of which no more is there than their names."""
    return DataPlan(TEXT_CLASSIFICATION, notes=[UNKNOWN], corrections=corrections.to_json())


def _explain(plan: DataPlan, error: DataError, *, is_whole: bool) -> None:
    """Note why a table cannot be read; of a beginning only what more of it would not change."""
    if is_whole or isinstance(error, UnclearColumns):
        plan.problem = str(error)
    else:
        plan.notes.append(UNKNOWN)


def _describe_format(plan: DataPlan, reader: TableReader) -> None:
    """Note how the table is understood, and its first rows."""
    plan.columns = reader.columns()
    found = reader.format()
    plan.encoding, plan.separator, plan.heading = found.encoding, found.separator, found.heading
    plan.sheet = found.sheet
    shown = reader.sample()[:SHOWN_ROWS]
    plan.rows = [shortened([row.get(name, "") for name in plan.columns]) for row in shown]


def _count(
    plan: DataPlan, reader: TableReader, columns: Columns, *, is_whole: bool, patience: Patience
) -> None:
    """Count the examples of each class, and what is left out."""
    left_out, counts, seen = Reasons(), Counter[str](), dict[Part, Counter[str]]()
    if titles := reader.format().titles:
        left_out.add(TITLES, (), titles)
    rows = iter_rows(reader, columns)
    plan.is_complete = is_whole
    try:
        for row in rows if is_whole else _without_broken_end(rows):
            if isinstance(row, Row):
                counts[row.label] += 1
                seen.setdefault(part_of_cell(row.also[0]) or "", Counter())[row.label] += 1
            else:
                left_out.add(row.reason, [row.name])
            if not patience() or len(counts) > MOST_CLASSES:
                plan.is_complete = False
                break
    except DataError as error:
        plan.problem = str(error)
    judge_classes(plan, seen, left_out, reader.corrections)
    plan.notes = [*reader.notes]
    if not any(repr(columns.text) in note for note in plan.notes):
        plan.notes.append(f"The texts are in {columns.text!r}, their labels in {columns.label!r}.")
    if alike := tell_alike(plan.classes):
        plan.notes.append(alike)
    if len(counts) > MOST_CLASSES:
        plan.problem = plan.problem or f"There are more than {MOST_CLASSES:,} classes, the limit."
    if plan.is_complete or (counts and not is_whole):  # else there was no time for what may follow
        plan.problem = plan.problem or why_no_classes(counts) or why_too_few(plan.classes)


def _without_broken_end(rows: Iterator[Found]) -> Iterator[Found]:
    """Yield the rows of a table's beginning but the last one, and what becomes of it when it is cut through."""
    held: list[Found] = []
    while True:
        try:
            row = next(rows, None)
        except DataError:  # at the broken end, or the person hears of it when all is there
            row = None
        if row is None:
            break
        held.append(row)
        if len(held) > BROKEN_OFF:
            yield held.pop(0)
    broken = next(
        (place for place, row in enumerate(held) if isinstance(row, Unreadable) and row.reason == QUOTE),
        len(held) - 1,
    )
    yield from held[: max(0, broken)]
