"""The plan of an archive or a folder of images, from the names of its files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION
from models_registry.inputs import (
    Corrections,
    DataError,
    Entry,
    ImportPlan,
    Limits,
    Listing,
    Part,
    levels_of,
    open_listing,
    other_readings,
    photos_of,
    plan_images,
    reasons,
)
from models_registry.inputs.layout import LAYOUT

from ..archive_plans import FOLDERS, MOST_TABLES, doubt_about_names, entries_of, plan_archive, why_no_groups
from ..left_out import Reasons
from .base import DataPlan, judge_classes, why_too_few
from .suggestions import suggest_for_images, suggest_name_encodings

MOST_LEVELS = 6
NAMES_OF_A_LEVEL = 6
LATER = "photos whose labels are looked for in a table when the whole archive is there"
UNDECIDED = "The labels are looked for in {} when the whole archive is there."


def plan_archive_file(path: Path, corrections: Corrections, limits: Limits, *, is_whole: bool) -> DataPlan:
    """Plan a zip; of one that is not whole the list of files alone is read, and no table of labels.

    What cannot be read at all is a plan with a problem.
    """
    try:
        with open_listing(path, limits, corrections.name_encoding) as listing:
            entries = entries_of(listing)
            plan = _plan_listing(listing, entries, corrections, limits, is_whole=is_whole)
            used = corrections.name_encoding or listing.code_page
            readings = other_readings(listing.entries, used) if used else []
            plan.suggestions[:0] = suggest_name_encodings(readings, corrections)
            return plan
    except DataError as error:
        return DataPlan(IMAGE_CLASSIFICATION, problem=str(error), corrections=corrections.to_json())


def _plan_listing(
    listing: Listing, entries: Sequence[Entry], corrections: Corrections, limits: Limits, *, is_whole: bool
) -> DataPlan:
    if is_whole:
        return describe(entries, plan_archive(listing, entries, limits, corrections), corrections)
    plan = plan_names(entries, corrections)
    if doubt := doubt_about_names(listing.code_page, list(plan.classes)):
        plan.notes.insert(0, doubt)
    return plan


def plan_names(entries: Sequence[Entry], corrections: Corrections) -> DataPlan:
    """Plan a folder, or an archive of which no more is there than the names."""
    found = plan_images(entries, corrections)
    table = corrections.labels_from if corrections.labels_from != FOLDERS else None
    is_said = corrections.labels_from == FOLDERS or corrections.class_level
    if not table and found.wants_labels and found.tables and not is_said:
        table = entries[found.tables[0]].name
    if not table:
        return describe(entries, found, corrections)
    photos, left_out = photos_of(entries)
    undecided = {**left_out, **dict.fromkeys(photos, LATER)}
    later = ImportPlan(left_out=undecided, tables=found.tables, labels_from=table)
    plan = describe(entries, later, corrections)
    plan.problem, plan.notes = "", [UNDECIDED.format(table), *plan.notes]
    return plan


def describe(entries: Sequence[Entry], found: ImportPlan, corrections: Corrections) -> DataPlan:
    """Return the plan of an archive whose files are planned; nothing was decoded."""
    plan = DataPlan(IMAGE_CLASSIFICATION, notes=[*found.notes], corrections=corrections.to_json())
    left_out = Reasons()
    for reason, count, names in reasons(entries, found):
        left_out.add(reason, names, count)
    seen: dict[Part, Counter[str]] = {}
    for placed in (*found.examples, *found.tests):
        seen.setdefault(placed.part, Counter())[placed.label] += 1
    judge_classes(plan, seen, left_out, corrections)
    photos, _ = photos_of(entries)
    plan.levels = levels_of(photos, most=MOST_LEVELS, names=NAMES_OF_A_LEVEL)
    names = [entries[placed.place].name for placed in found.examples]
    plan.problem = found.problem or why_too_few(plan.classes, LAYOUT) or why_no_groups(names, corrections)
    if corrections.group and not plan.problem:
        plan.notes.append(
            f"Photos in folders of one name at level {corrections.group} stay on one side of the split."
        )
    plan.columns, plan.label_columns = list(found.columns), list(found.label_columns)
    plan.labels_from = found.labels_from
    plan.tables = [entries[index].name for index in found.tables][:MOST_TABLES]
    plan.suggestions = suggest_for_images(photos, plan, corrections)
    return plan
