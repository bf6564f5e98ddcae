"""Photos whose labels stand in a table beside them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from ..corrections import Corrections
from .classes import wanted
from .explanations import near_names
from .names import Parts, normalised, path_of
from .plan import LAYOUT, UNLABELLED, Entry, ImportPlan, Placed, photos_of


def plan_labels(
    entries: Sequence[Entry],
    rows: Iterable[tuple[str, str]],
    table: str,
    corrections: Corrections | None = None,
) -> ImportPlan:
    """Plan photos whose labels stand in a table: (file, label) of each row, from the file called `table`.

    A row's file is a path, a file's name, or one without its suffix. Of equal names the one in the folder that
    is called as the table is meant; else none is.
    """
    photos, left_out = photos_of(entries)
    find = _Finder(photos, PurePosixPath(table).stem)
    labels: dict[int, str] = {}
    conflicting: set[int] = set()
    missing = 0
    for name, label in rows:
        index = find(name)
        if index is None or not label.strip():
            missing += 1
        elif labels.setdefault(index, normalised(label.strip())) != normalised(label.strip()):
            conflicting.add(index)
    found = [Placed(index, labels[index], "") for index in sorted(labels) if index not in conflicting]
    for index in photos.keys() - {placed.place for placed in found}:
        left_out[index] = UNLABELLED
    examples = tuple(wanted(found, left_out, corrections or Corrections()))
    notes = _notes_of_labels(table, missing=missing, conflicting=len(conflicting))
    return ImportPlan(
        examples,
        left_out,
        (*notes, *near_names({placed.label for placed in examples})),
        problem="" if found else f"No row of {table} names a photo of the archive. {LAYOUT}",
        is_flat=not found,
    )


def _notes_of_labels(table: str, *, missing: int, conflicting: int) -> list[str]:
    notes = [f"The labels are those of {table}."]
    if missing:
        notes.append(f"Rows of {table} without a photo or a label: {missing:,}.")
    if conflicting:
        notes.append(f"Photos with two labels in {table}, which are left out: {conflicting:,}.")
    return notes


class _Finder:
    """Finds a photo by what a table calls it."""

    def __init__(self, photos: Mapping[int, Parts], folder: str) -> None:
        self._paths = {parts: index for index, parts in photos.items()}
        self._photos = photos
        self._folder = folder
        self._names: dict[str, list[int]] = defaultdict(list)
        for index, parts in photos.items():
            for name in {parts[-1], PurePosixPath(parts[-1]).stem}:
                self._names[normalised(name)].append(index)

    def __call__(self, name: str) -> int | None:
        parts = path_of(name.strip().replace("\\", "/"))
        if not parts:
            return None
        if parts in self._paths:
            return self._paths[parts]
        found = [
            index
            for index in self._names.get(normalised(parts[-1]), ())
            if len(parts) == 1 or self._photos[index][-len(parts) : -1] == parts[:-1]
        ]
        if len(found) > 1:
            found = [index for index in found if self._folder in self._photos[index][:-1]]
        return found[0] if len(found) == 1 else None
