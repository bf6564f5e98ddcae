"""What becomes of the files of an archive of images: by its folders, or by a table of labels beside them."""

import contextlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from models_registry.inputs import (
    ArchiveBudget,
    Corrections,
    DataError,
    Entry,
    ImportPlan,
    Limits,
    Listing,
    Part,
    open_listing,
    part_of_table,
    photos_of,
    plan_images,
    plan_labels,
    reasons,
)
from models_registry.inputs.layout import UNLABELLED, listed, path_of

from .label_tables import LabelTable, rank_of, read_label_table

MOST_TABLES = 8  # beside the photos, that are searched for labels
SHOWN = 10  # columns that a message lists
FOLDERS = "folders"  # what a correction says instead of a table's name


class Member(NamedTuple):
    """A file of an archive that becomes an example; `group` is the folder that keeps it with others, "" for none."""

    member: zipfile.ZipInfo
    label: str
    part: Part
    group: str = ""


@dataclass(frozen=True)
class ArchivePlan:
    """The files of an archive that become examples, in its order; what is left out and what is doubtful.

    `tests` are those of its test part, from which nothing is learnt. `left_out` has for each reason the number of
    files and the first names.
    """

    members: list[Member]
    left_out: list[tuple[str, int, list[str]]]
    notes: list[str]
    tests: list[Member]


@contextlib.contextmanager
def open_image_archive(
    path: Path, limits: Limits | None = None, corrections: Corrections | None = None
) -> Iterator[tuple[zipfile.ZipFile, ArchivePlan]]:
    """Open a zip and plan what becomes of its files; no image is unpacked yet.

    What turns out to be no zip, here or while it is read, becomes a `DataError`, as does one without classes.
    """
    limits, corrections = limits or Limits(), corrections or Corrections()
    with open_listing(path, limits, corrections.name_encoding) as listing:
        infos, entries = listing.entries, entries_of(listing)
        plan = plan_archive(listing, entries, limits, corrections)
        if plan.problem:
            raise DataError(plan.problem)
        if reason := why_no_groups([entries[placed.place].name for placed in plan.examples], corrections):
            raise DataError(reason)
        members, tests = (
            [
                Member(infos[index], label, part, group_of(entries[index].name, corrections.group))
                for index, label, part in placed
            ]
            for placed in (plan.examples, plan.tests)
        )
        yield listing.archive, ArchivePlan(members, list(reasons(entries, plan)), [*plan.notes], tests)


def group_of(name: str, level: str | int | None) -> str:
    """Return the folder at a level of a file's path, 1 for the outermost; "" for none."""
    folders = path_of(name)[:-1] if isinstance(level, int) else ()
    return folders[level - 1] if isinstance(level, int) and len(folders) >= level else ""


def why_no_groups(names: Sequence[str], corrections: Corrections) -> str:
    """Return why the files cannot be grouped as was said; "" when they can, or nothing was said."""
    level = corrections.group
    if level is None:
        return ""
    if not isinstance(level, int):
        return (
            f"The groups of photos are folders: give the level of theirs, 1 for the outermost, not {level!r}."
        )
    if len({group_of(name, level) for name in names} - {""}) < 2:
        return (
            f"There are not two different folders at level {level} by which photos could be grouped. Name another "
            "level, or none."
        )
    return ""


def entries_of(listing: Listing) -> list[Entry]:
    """Return the files and folders of an archive as plans are made of."""
    return [Entry(info.filename, info.file_size, info.filename.endswith("/")) for info in listing.entries]


def plan_archive(
    listing: Listing, entries: Sequence[Entry], limits: Limits, corrections: Corrections
) -> ImportPlan:
    """Plan what becomes of an archive's files; reads no more of it than tables with labels.

    Raises `DataError` for a table of labels that was named and cannot be used.
    """
    if corrections.labels_from not in (None, FOLDERS):
        plan = _plan_by_named_table(listing, entries, limits, corrections)
    else:
        plan = plan_images(entries, corrections)
        if plan.wants_labels and corrections.labels_from != FOLDERS and not corrections.class_level:
            plan = _plan_by_tables(listing, entries, plan, limits, corrections) or plan
    doubts = [
        doubt_about_names(listing.code_page, [placed.label for placed in plan.examples]),
        _doubt_about_repeated(listing.repeated),
    ]
    return plan.with_notes(*filter(None, doubts))


def doubt_about_names(code_page: str, labels: Sequence[str]) -> str:
    """Tell a person how names were read that do not say their code page; "" when none had to be guessed."""
    if not code_page:
        return ""
    example = next((label for label in labels if not label.isascii()), "")
    return (
        f"The archive does not say how its names are written; {code_page} was taken"
        f"{f', as in {example!r}' if example else ''}. When names look wrong, zip the folders anew in UTF-8."
    )


def _doubt_about_repeated(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"In the archive more than once, of which the last is taken: {listed(list(dict.fromkeys(names)))}."


def _plan_by_named_table(
    listing: Listing, entries: Sequence[Entry], limits: Limits, corrections: Corrections
) -> ImportPlan:
    """Plan photos by the table that a person has named. Raises `DataError`."""
    name = corrections.labels_from or ""
    found = [
        index for index, entry in enumerate(entries) if name in (entry.name, entry.name.rpartition("/")[2])
    ]
    if not found:
        raise DataError(f"There is no file {name!r} in the archive from which labels could be read.")
    tables = _tables(listing, entries, found[:1], limits, corrections)
    if not tables:
        raise DataError(
            f"{entries[found[0]].name!r} has no column with the names of the photos and one with their labels."
        )
    return replace(_plan_of_tables(entries, tables, corrections), tables=plan_images(entries).tables)


def _plan_by_tables(
    listing: Listing, entries: Sequence[Entry], plan: ImportPlan, limits: Limits, corrections: Corrections
) -> ImportPlan | None:
    """Plan photos by the best table beside them, or those of the parts of a split; None when none has their labels."""
    tables = _tables(listing, entries, plan.tables[:MOST_TABLES], limits, corrections)
    plans = {name: _plan_of_tables(entries, {name: table}, corrections) for name, table in tables.items()}
    found = {name: one for name, one in plans.items() if not one.problem}
    if not found:
        unclear = next((one for one in plans.values() if one.label_columns), None)
        return replace(unclear, tables=plan.tables) if unclear else None
    ranks = {name: rank_of(name, len(one.examples) + len(one.tests)) for name, one in found.items()}
    best = max(found, key=lambda name: ranks[name])
    used = {name: tables[name] for name in found if name == best or _goes_along(name, best, tables)}
    result = _plan_of_tables(entries, used, corrections) if len(used) > 1 else found[best]
    result = replace(result, tables=plan.tables)
    others = sorted(found.keys() - used)
    return (
        result.with_notes(f"Other tables with labels are not used: {', '.join(others)}.")
        if others
        else result
    )


def _goes_along(name: str, best: str, tables: Mapping[str, LabelTable]) -> bool:
    """Tell whether a table is that of another part of the split that the best one is the training part of."""
    is_other = part_of_table(best) == "train" and part_of_table(name) not in ("", "train")
    return is_other and tables[name].columns == tables[best].columns


def _tables(
    listing: Listing,
    entries: Sequence[Entry],
    places: Sequence[int],
    limits: Limits,
    corrections: Corrections,
) -> dict[str, LabelTable]:
    """Return those of some files that name photos, by their names."""
    names, found = [entry.name for entry in entries], {}
    for index in places:
        info = listing.entries[index]
        content = ArchiveBudget(listing.archive, [info], limits).read(info)
        if table := read_label_table(names[index], content, names, corrections):
            found[names[index]] = table
    return found


def _plan_of_tables(
    entries: Sequence[Entry], tables: Mapping[str, LabelTable], corrections: Corrections
) -> ImportPlan:
    """Plan photos by tables, or say which column of one has to be named."""
    [(name, first), *_] = tables.items()
    if first.rows:
        found = plan_labels(entries, {name: table.rows for name, table in tables.items()}, corrections)
        return replace(found, columns=tuple(first.columns))
    photos, left_out = photos_of(entries)
    there = ", ".join(map(repr, first.choices[:SHOWN]))
    return ImportPlan(
        left_out={**left_out, **dict.fromkeys(photos, UNLABELLED)},
        problem=f"Which column of {name} holds the labels? Several could: {there}. Name one.",
        labels_from=name,
        columns=tuple(first.columns),
        label_columns=tuple(first.choices),
    )
