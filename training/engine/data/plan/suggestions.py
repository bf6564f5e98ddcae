"""Corrections that a person may want, each with a click: what else the names or the first rows could mean."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from models_registry.inputs import (
    Corrections,
    DataError,
    Limits,
    by_level,
    likely_columns,
    open_table,
    split_part,
)
from models_registry.inputs.corrections import FOLDERS, NO_SPLIT
from models_registry.inputs.layout import Parts

from ..label_tables import is_to_be_filled_in
from ..labels import names_alike
from .base import DataPlan, Suggestion

FEW = 10  # examples, below which the validation of a class says little
MOST = 12  # suggestions
SHOWN = 3  # names in a label
READINGS = 4  # encodings that are offered
MOST_OTHERS = 4  # sheets or tables that are offered
MOST_COLUMNS = 6  # columns, or pairs of them, that are offered
MOST_MERGED = 4  # groups of names that are offered one by one
SENSIBLE_CLASSES = 200
OWNERS = """
patient customer client user subject person author speaker writer sender session conversation thread ticket household
object item product device site tile slide group kunde cliente
"""
WHOSE = frozenset(OWNERS.split())  # names of columns that tell whose example a row is, with or without "id"
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}


def suggest_for_images(
    photos: Mapping[int, Parts], plan: DataPlan, corrections: Corrections
) -> list[Suggestion]:
    """Return what may be meant of an archive."""
    found = [
        *_labels(plan, corrections),
        *_levels(photos, plan, corrections),
        *_split(plan, corrections),
        *_folders_of_groups(plan, corrections),
        *_classes(plan, corrections),
    ]
    return found[:MOST]


def suggest_for_tables(
    path: Path, plan: DataPlan, corrections: Corrections, limits: Limits
) -> list[Suggestion]:
    """Return what may be meant of a table."""
    found = [
        *_columns(path, plan, corrections, limits),
        *_others(plan, corrections),
        *_formats(path, plan, corrections, limits),
        *_split_column(plan, corrections),
        *_columns_of_groups(plan, corrections),
        *_classes(plan, corrections),
    ]
    return found[:MOST]


def _labels(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer tables beside the photos, their columns, and the folders, as what knows the labels."""
    for name in plan.label_columns[:MOST_COLUMNS]:
        yield Suggestion(
            f"{name!r} holds the labels", "Photos get the classes of this column.", {"label": name}
        )
    used = plan.labels_from
    for table in plan.tables[:MOST_OTHERS]:
        if table != used and not is_to_be_filled_in(table):
            yield Suggestion(
                f"Labels from {table}",
                "Each photo gets the class that this table gives it.",
                {"labels_from": table},
            )
    if used and plan.levels:
        yield Suggestion(
            "Labels from the folders", f"{used} is then left out.", {"labels_from": FOLDERS, "label": None}
        )
    elif corrections.labels_from:
        yield Suggestion("Find the labels again", "What was named is forgotten.", {"labels_from": None})


def _columns(path: Path, plan: DataPlan, corrections: Corrections, limits: Limits) -> Iterator[Suggestion]:
    """Offer columns where it is not clear which are meant."""
    if not plan.problem or not plan.columns or plan.classes:
        return
    try:
        found = likely_columns(open_table(path, limits, corrections))
    except DataError:
        return
    for text, label, *_ in found[:MOST_COLUMNS]:
        yield Suggestion(
            f"{text!r} are the texts, {label!r} the labels",
            "The other columns are then left out.",
            {"input": text, "label": label},
        )


def _others(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer other sheets of a workbook and other tables of a zip."""
    for key, names, kind in (("sheet", plan.sheets, "sheet"), ("member", plan.members, "table")):
        for name in names[:MOST_OTHERS]:
            yield Suggestion(f"Read the {kind} {name!r}", "The others are then left out.", {key: name})
    if corrections.member:
        yield Suggestion("Find the table again", "The one that was named is forgotten.", {"member": None})


def _split_column(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer to pass over the column of a split, or to heed it again."""
    if corrections.split is not None:
        yield Suggestion("Find the split again", "What was said of its column is forgotten.", {"split": None})
    elif plan.parts:
        yield Suggestion(
            "Use all rows together", "The column of the split then counts for nothing.", {"split": NO_SPLIT}
        )


def _levels(photos: Mapping[int, Parts], plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer folders of other levels as the classes, where they give a sensible plan of other classes."""
    for level in range(1, len(plan.levels) + 1) if not plan.labels_from else ():
        if level == corrections.class_level or all(map(split_part, plan.levels[level - 1])):
            continue
        found = by_level(photos, level, use_split=corrections.use_split is not False)
        labels = (corrections.class_of(placed.label) for placed in found if placed.part != "test")
        classes = Counter(label for label in labels if label is not None)
        if 2 <= len(classes) <= SENSIBLE_CLASSES and classes.keys() != plan.classes.keys():
            shown = ", ".join(sorted(classes)[:SHOWN])
            yield Suggestion(
                f"Folders at level {level} are the classes",
                f"There would be {len(classes):,} classes ({shown}{' …' if len(classes) > SHOWN else ''}) with "
                f"{sum(classes.values()):,} photos.",
                {"class_level": level},
            )
    if corrections.class_level:
        yield Suggestion(
            "Find the class folders again", "The level that was named is forgotten.", {"class_level": None}
        )


def suggest_name_encodings(readings: Sequence[tuple[str, str]], corrections: Corrections) -> list[Suggestion]:
    """Offer other code pages for names of an archive that do not say theirs: how one of them reads in each."""
    found = [
        Suggestion(
            f"Read names like {reading!r}", f"The names are then taken for {page}.", {"name_encoding": page}
        )
        for page, reading in readings[:READINGS]
    ]
    if corrections.name_encoding:
        found.append(
            Suggestion("Guess how names are written", "The code page is forgotten.", {"name_encoding": None})
        )
    return found


def _split(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer to heed or to pass over folders that are called as the parts of a split."""
    if corrections.use_split is False:
        yield Suggestion(
            "Use the folders' split",
            "Folders called train, valid or test are parts again.",
            {"use_split": None},
        )
        return
    named = {part for names in plan.levels for name in names if (part := split_part(name))}
    if len(named) > 1:
        yield Suggestion(
            "Use all photos together",
            "Folders called train, valid or test are then no split: all photos are split anew.",
            {"use_split": False},
        )


def _classes(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer to merge classes whose names are alike, and to leave out small ones."""
    alike = names_alike(plan.classes)
    every: dict[str, str] = {}
    for group in alike:
        target = max(group, key=lambda name: plan.classes[name])
        every |= {name: target for name in group if name != target}
    if len(alike) > 1:
        yield Suggestion(
            f"Merge all {len(alike):,} groups of names that are alike",
            "Names that differ in case, blanks or hyphens only become one class each.",
            {"merge": {**corrections.merge, **every}},
        )
    for group in alike[:MOST_MERGED]:
        target = max(group, key=lambda name: plan.classes[name])
        merge = {**corrections.merge, **{name: target for name in group if name != target}}
        listed = " and ".join(map(repr, group))
        yield Suggestion(f"Merge {listed}", f"They become one class, {target!r}.", {"merge": merge})
    small = [name for name, count in plan.classes.items() if count < FEW]
    left = len(plan.classes) - len(small)
    if small and left >= 2 and (corrections.min_examples or 0) < FEW:
        yield Suggestion(
            f"Leave out classes with fewer than {FEW}",
            f"Of {len(plan.classes):,} classes {len(small):,} have fewer than {FEW} examples.",
            {"min_examples": FEW},
        )


def _folders_of_groups(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer to keep photos of one folder together, where there are folders inside those of the classes."""
    if corrections.group is not None:
        yield _no_groups()
        return
    of_classes = [level for level, names in enumerate(plan.levels, 1) if plan.classes.keys() & set(names)]
    for level in range(max(of_classes) + 1, len(plan.levels) + 1) if of_classes else ():
        names = plan.levels[level - 1]
        if len(names) > 1 and not any(map(split_part, names)):
            shown = ", ".join(names[:SHOWN])
            yield Suggestion(
                f"Folders at level {level} are groups",
                f"Photos of one folder ({shown} …) are then never on both sides of the split.",
                {"group": level},
            )


def _columns_of_groups(plan: DataPlan, corrections: Corrections) -> Iterator[Suggestion]:
    """Offer to keep rows of one patient, customer or the like together."""
    if corrections.group is not None:
        yield _no_groups()
        return
    for name in plan.columns:
        words = re.sub(r"[\s_-]*id$", "", name.strip().casefold())
        if words in WHOSE and name not in corrections.columns.values():
            yield Suggestion(
                f"{name!r} names groups",
                f"Rows with the same {name!r} are then never on both sides of the split.",
                {"group": name},
            )


def _no_groups() -> Suggestion:
    return Suggestion("Forget the groups", "Each example then stands for itself.", {"group": None})


def _formats(path: Path, plan: DataPlan, corrections: Corrections, limits: Limits) -> Iterator[Suggestion]:
    """Offer other separators and the other answer to whether there is a heading."""
    yield from _encodings(path, corrections, limits)
    if plan.separator or plan.problem:
        yield from _separators(path, plan, corrections, limits)
    if plan.rows and (plan.separator or plan.sheet):
        yield Suggestion(
            "The first row is an example" if plan.heading else "The first row names the columns",
            "The columns are then numbered." if plan.heading else "It is then no example.",
            {"heading": not plan.heading},
        )


def _encodings(path: Path, corrections: Corrections, limits: Limits) -> Iterator[Suggestion]:
    try:
        readings = open_table(path, limits, corrections).other_readings()
    except DataError:
        readings = []
    for encoding, reading in readings[:READINGS]:
        yield Suggestion(
            f"Read words like {reading!r}", f"The file is then taken for {encoding}.", {"encoding": encoding}
        )
    if corrections.encoding:
        yield Suggestion(
            "Guess the encoding", "The encoding that was named is forgotten.", {"encoding": None}
        )


def _separators(path: Path, plan: DataPlan, corrections: Corrections, limits: Limits) -> Iterator[Suggestion]:
    for separator, word in SEPARATORS.items():
        if separator == plan.separator:
            continue
        said = {**corrections.to_json(), "separator": separator}
        try:
            columns = open_table(path, limits, Corrections.from_json(said)).columns()
        except DataError:
            continue
        if len(columns) > 1 + bool(plan.members and plan.parts) and columns != plan.columns:
            shown = ", ".join(name[:30] for name in columns[:SHOWN])
            yield Suggestion(
                f"A {word} separates the fields",
                f"There would be {len(columns):,} columns: {shown}{' …' if len(columns) > SHOWN else ''}.",
                {"separator": separator},
            )
