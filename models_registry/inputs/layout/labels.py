"""Photos whose labels stand in tables beside them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ..corrections import Corrections
from .classes import wanted
from .explanations import near_names
from .names import PHOTO_SUFFIXES, Part, Parts, listed, normalised, path_of, split_part
from .plan import LAYOUT, UNLABELLED, Entry, ImportPlan, Placed, photos_of


class LabelRow(NamedTuple):
    """A file, as a table calls it, its label, and the part of a split that the table names."""

    file: str
    label: str
    part: Part = ""


def plan_labels(
    entries: Sequence[Entry],
    tables: Mapping[str, Iterable[LabelRow]],
    corrections: Corrections | None = None,
) -> ImportPlan:
    """Plan photos whose labels stand in tables: the rows of each, by its name in the archive.

    A row's file is a path, a file's name, or one without its suffix. Of equal names the one in the table's folder, in
    the folder that is called as the table, or in that of the same part of a split is meant; else none is.
    """
    said = corrections or Corrections()
    photos, left_out = photos_of(entries)
    labels: dict[int, str] = {}
    parts: dict[int, Part] = {}
    conflicting: set[int] = set()
    missing = 0
    find = _Finder(photos)
    for table, rows in tables.items():
        place = _place_of(table)
        for row in rows:
            index, label = find(row.file, place), normalised(row.label.strip())
            if index is None or not label:
                missing += 1
            elif labels.setdefault(index, label) != label:
                conflicting.add(index)
            else:
                parts[index] = row.part or place.part or _part_of_folders(photos[index][:-1])
    if said.use_split is False or not _are_a_split(set(parts.values())):
        parts = {}
    found = [
        Placed(index, labels[index], parts.get(index, "")) for index in sorted(labels.keys() - conflicting)
    ]
    for index in photos.keys() - {placed.place for placed in found}:
        left_out[index] = UNLABELLED
    placed = wanted(found, left_out, said)
    names = listed(list(tables))
    notes = _notes_of_labels(names, missing=missing, conflicting=len(conflicting))
    return ImportPlan(
        tuple(one for one in placed if one.part != "test"),
        left_out,
        (*notes, *near_names({one.label for one in placed})),
        problem="" if found else f"No row of {names} names a photo of the archive. {LAYOUT}",
        is_flat=not found,
        tests=tuple(one for one in placed if one.part == "test"),
        labels_from=next(iter(tables), ""),
    )


def part_of_table(name: str) -> Part:
    """Return the part of a split that a table is called after, or that its folder is; "" for none."""
    return _place_of(name).part


def _are_a_split(parts: set[Part]) -> bool:
    return "train" in parts and len(parts - {""}) > 1


def _part_of_folders(folders: Parts) -> Part:
    return next((part for folder in folders if (part := split_part(folder))), "")


def _notes_of_labels(tables: str, *, missing: int, conflicting: int) -> list[str]:
    notes = [f"The labels are those of {tables}."]
    if missing:
        notes.append(f"Rows of {tables} without a photo or a label: {missing:,}.")
    if conflicting:
        notes.append(f"Photos with two labels in {tables}, which are left out: {conflicting:,}.")
    return notes


def path_in_table(cell: str) -> str:
    """Return what a table calls a photo as a path, with "/" between folders: of an address the part behind the host."""
    path = cell.strip().replace("\\", "/")
    return unquote(urlsplit(path).path) if "://" in path else path


def forms_of(file: str) -> list[str]:
    """Return by what a photo's file is found: its name, and that without the suffix, whatever their case."""
    name = normalised(file).casefold()
    stem, dot, suffix = name.rpartition(".")
    return [name, stem] if dot and stem and suffix in PHOTO_SUFFIXES else [name]


def _shared_end(one: Parts, other: Parts) -> int:
    """Return how many last folders two paths have in common."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class _Place(NamedTuple):
    """Where a table lies, what it is called without its suffix, and the part of a split that this says."""

    folders: Parts
    stem: str
    part: Part


def _place_of(table: str) -> _Place:
    folders, stem = path_of(table)[:-1], PurePosixPath(table).stem
    return _Place(folders, stem, split_part(stem) or _part_of_folders(folders))


class _Finder:
    """Finds a photo by what a table calls it."""

    def __init__(self, photos: Mapping[int, Parts]) -> None:
        self._paths = {parts: index for index, parts in photos.items()}
        self._photos = photos
        self._names: dict[str, list[int]] = defaultdict(list)
        for index, parts in photos.items():
            for form in forms_of(parts[-1]):
                self._names[form].append(index)
        self._is_one_folder = len({parts[:-1] for parts in photos.values()}) == 1

    def __call__(self, name: str, place: _Place) -> int | None:
        path = path_in_table(name)
        parts = path_of(path)
        if not parts:
            return None
        for whole in (parts, (*place.folders, *parts)):
            if whole in self._paths:
                return self._paths[whole]
        called = next((self._names[form] for form in forms_of(parts[-1]) if form in self._names), [])
        folders = parts[:-1]
        if ":" in parts[0] or path.startswith("/"):
            found = self._from_elsewhere(called, folders)
        else:
            found = [index for index in called if self._photos[index][-len(parts) : -1] == folders]
        found = [index for index in found if self._photos[index][-1] == parts[-1]] or found
        return self._one_of(found, place) if len(found) > 1 else next(iter(found), None)

    def _from_elsewhere(self, called: list[int], folders: Parts) -> list[int]:
        """Return those of some photos that a path of another computer may mean: most of its last folders are theirs."""
        if self._is_one_folder:
            return called
        part, shared = _part_of_folders(folders), {}
        for index in called:
            own = self._photos[index][:-1]
            if _part_of_folders(own) in ("", part) or not part:
                shared[index] = _shared_end(own, folders)
        most = max(shared.values(), default=0)
        return [index for index, count in shared.items() if most and count == most]

    def _one_of(self, found: list[int], place: _Place) -> int | None:
        """Return the one of several photos of a name that a table means; None where that is not clear."""
        folders = {index: self._photos[index][:-1] for index in found}
        for meant in (
            [
                index
                for index in found
                if place.folders and folders[index][: len(place.folders)] == place.folders
            ],
            [index for index in found if place.stem in folders[index]],
            [index for index in found if place.part and _part_of_folders(folders[index]) == place.part],
        ):
            if len(meant) == 1:
                return meant[0]
        return None
