"""Photos whose classes are the folders in which they lie, with or without a split around or inside them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..corrections import Corrections
from .classes import wanted
from .explanations import near_names, why_boxes, why_flat, why_not_so_deep, why_nothing, why_one_folder
from .levels import by_level
from .names import (
    TOO_DEEP,
    Part,
    Parts,
    are_dates,
    are_of_one_dataset,
    are_pieces,
    is_litter,
    listed,
    may_hold_labels,
    normalised,
    path_of,
    split_part,
)
from .plan import NO_PHOTOS, OUTSIDE, TEST_PART, Entry, ImportPlan, Placed, photos_of


def plan_images(entries: Sequence[Entry], corrections: Corrections | None = None) -> ImportPlan:
    """Plan how the photos of an archive become examples, by the folders in which they lie."""
    corrections = corrections or Corrections()
    photos, left_out = photos_of(entries)
    if not photos:
        return ImportPlan(left_out=left_out, problem=why_nothing(entries, left_out))
    tables = tuple(
        index
        for index, entry in enumerate(entries)
        if left_out.get(index) == NO_PHOTOS and may_hold_labels(entry.name)
    )
    placed = _at_level(photos, corrections) if corrections.class_level else _by_folders(photos, corrections)
    if placed is None:
        for index in photos:
            left_out[index] = OUTSIDE
        return ImportPlan(left_out=left_out, problem=why_flat(entries, photos), is_flat=True, tables=tables)
    for index in photos.keys() - {example.place for example in placed.examples}:
        left_out[index] = TEST_PART if index in placed.tests else OUTSIDE
    found = wanted(placed.examples, left_out, corrections)
    tests = [example for example in found if example.part == "test"]
    examples = [example for example in found if example.part != "test"]
    notes = placed.notes
    if not corrections.class_level:
        notes += _folders_without_photos(entries, photos, placed.root, placed.kinds)
    labels = {example.label for example in examples}
    return ImportPlan(
        examples=tuple(sorted(examples)),
        tests=tuple(sorted(tests)),
        left_out=left_out,
        notes=(*notes, *near_names(labels)),
        problem=why_boxes(entries, labels) or why_one_folder(photos, labels)
        if placed.examples
        else why_not_so_deep(photos, corrections.class_level or 1),
        tables=tables,
    )


class _Placement(NamedTuple):
    """Photos by their folders, and what is doubtful; `tests` lie in a test part, whether they have a class or not."""

    examples: list[Placed]
    tests: set[int]
    notes: list[str]
    root: Parts = ()
    kinds: dict[str, Part] = {}  # never changed


def _at_level(photos: Mapping[int, Parts], corrections: Corrections) -> _Placement:
    """Place photos by the folders that a person has named."""
    examples = by_level(photos, corrections.class_level or 1, use_split=corrections.use_split is not False)
    return _Placement(examples, set(), [])


def _by_folders(photos: Mapping[int, Parts], corrections: Corrections) -> _Placement | None:
    """Place photos by the folders that seem to be the classes; None when they lie in none."""
    root = _without_wrappers(photos)
    below = _below(photos, root)
    kinds = _split_folders(below)
    use_split = corrections.use_split is not False
    if kinds:
        examples, notes = _by_split(below, kinds, use_split=use_split)
    elif pieces := _pieces_of_one(below):
        inside = {index: parts[1:] for index, parts in below.items()}
        examples, notes = _by_class(inside, use_split=use_split)
        notes = [
            f"These folders are taken as parts of one, those inside as the classes: {listed(pieces)}.",
            *notes,
        ]
        root = (*root, pieces[0])
    else:
        labelled = {index: parts for index, parts in below.items() if len(parts) > 1}
        examples, notes = _by_class(labelled, use_split=use_split)
        if not labelled or (use_split and _are_bare_split_folders(below)):
            return None
    tests = set()
    if use_split and "train" in kinds.values():
        tests = {index for index, parts in below.items() if kinds.get(parts[0]) == "test" and len(parts) > 1}
    return _Placement(examples, tests, notes, root, kinds)


def _below(photos: Mapping[int, Parts], root: Parts) -> dict[int, Parts]:
    return {index: parts[len(root) :] for index, parts in photos.items() if parts[: len(root)] == root}


def _without_wrappers(photos: Mapping[int, Parts]) -> Parts:
    """Return the folder whose folders are the classes or the parts of a split."""
    inside = list(photos.values())
    root: Parts = ()
    while True:
        depth = len(root)
        inside = [parts for parts in inside if len(parts) > depth + 1]
        tops = {parts[depth] for parts in inside}
        if len(tops) != 1:
            return root
        is_loose = any(len(parts) == depth + 2 for parts in inside)
        folders = {parts[depth + 1] for parts in inside if len(parts) > depth + 2}
        if not folders or (is_loose and len(folders) == 1):
            return root  # the only class
        root = (*root, tops.pop())


def _split_folders(below: Mapping[int, Parts]) -> dict[str, Part]:
    """Return the part of each folder that is one of a split; empty when the folders are classes."""
    tops = {parts[0] for parts in below.values() if len(parts) > 1}
    kinds: dict[str, Part] = {top: part for top in tops if (part := split_part(top))}
    with_folders = {parts[0] for parts in below.values() if len(parts) > 2}
    if len(set(kinds.values())) < 2 or not are_of_one_dataset(kinds):
        return {}
    if not any(
        top in with_folders for top in kinds if kinds[top] == "train" or "train" not in kinds.values()
    ):
        return {}  # photos lie directly in them
    others = tops - kinds.keys()
    if others and not all(len(_class_names(below, top)) >= 2 for top in kinds if kinds[top] == "train"):
        return {}
    return kinds


def _pieces_of_one(below: Mapping[int, Parts]) -> list[str]:
    """Return the folders that hold the same class folders each, and are called as pieces of one or by dates."""
    inner: dict[str, set[str]] = defaultdict(set)
    for parts in below.values():
        if len(parts) < 3:
            return []
        inner[parts[0]].add(parts[1])
    if not (are_pieces(inner) or are_dates(inner)):
        return []
    names = set.union(*inner.values())
    shared = set.intersection(*inner.values())
    is_alike = 2 * len(shared) >= len(names) and len(shared) >= 2
    return sorted(inner) if is_alike and not (are_pieces(names) or are_dates(names)) else []


def _class_names(below: Mapping[int, Parts], top: str) -> set[str]:
    return {parts[1] for parts in below.values() if len(parts) > 2 and parts[0] == top}


def _are_bare_split_folders(below: Mapping[int, Parts]) -> bool:
    """Say whether all photos lie directly in folders called as the parts of a split: no class has a name."""
    folders = {parts[0] for parts in below.values() if len(parts) > 1}
    return (
        all(len(parts) <= 2 for parts in below.values())
        and all(split_part(top) for top in folders)
        and len({split_part(top) for top in folders}) == len(folders)
        and are_of_one_dataset({top: split_part(top) for top in folders})
    )


def _by_split(
    below: Mapping[int, Parts], kinds: Mapping[str, Part], *, use_split: bool
) -> tuple[list[Placed], list[str]]:
    """Place photos by class folders inside the folders of a split; all together where it is not used."""
    inner: dict[str, dict[int, Parts]] = {}
    for top in sorted(kinds, key=lambda name: (kinds[name] != "train", name)):
        inside = {i: parts[1:] for i, parts in below.items() if parts[0] == top and len(parts) > 1}
        inner[top] = _without_inner_wrapper(inside, kinds[top], {p for t in inner.values() for p in _tops(t)})
    has_train = "train" in kinds.values()
    examples: list[Placed] = []
    notes: list[str] = []
    for top, inside in inner.items():
        placed, doubts = _by_class(
            {i: parts for i, parts in inside.items() if len(parts) > 1}, use_split=use_split
        )
        part = kinds[top] if has_train and use_split else ""
        examples += [Placed(index, label, part) for index, label, _ in placed]
        notes += [doubt for doubt in doubts if doubt not in notes]
    if not has_train:
        notes.append(f"There is no training part: {listed(sorted(kinds))} are trained on together.")
    return examples, notes


def _tops(inside: Mapping[int, Parts]) -> set[str]:
    return {parts[0] for parts in inside.values() if len(parts) > 1}


def _without_inner_wrapper(inside: dict[int, Parts], kind: Part, classes: set[str]) -> dict[int, Parts]:
    """Leave out a folder around the class folders of a part: "train/train", "train/images"."""
    while len(tops := _tops(inside)) == 1:
        [top] = tops
        deeper = {i: parts[1:] for i, parts in inside.items() if parts[0] == top and len(parts) > 1}
        if top in classes or not _tops(deeper):
            break
        if any(len(parts) == 1 for parts in deeper.values()) and split_part(top) != kind:
            break
        inside = deeper
    return inside


def _by_class(below: Mapping[int, Parts], *, use_split: bool) -> tuple[list[Placed], list[str]]:
    """Place photos by their outer folder. Folders of a split inside the classes are heeded where it is used."""
    folders: dict[str, set[str]] = defaultdict(set)
    for parts in below.values():
        if len(parts) > 2:
            folders[parts[0]].add(parts[1])
    inner = {name for names in folders.values() for name in names}
    kinds = {name: split_part(name) for name in inner}
    is_split = (
        use_split
        and bool(inner)
        and all(kinds.values())
        and "train" in kinds.values()
        and len(set(kinds.values())) > 1
        and all(len(parts) > 2 for parts in below.values())
    )
    examples = [
        Placed(index, parts[0], kinds[parts[1]] if is_split else "") for index, parts in below.items()
    ]
    other = sorted(inner - folders.keys())
    notes = []
    if other and not is_split:
        notes.append(f"Folders inside class folders belong to the class around them: {listed(other)}.")
    dotted = sorted(label for label in {parts[0] for parts in below.values()} if label.startswith("."))
    if dotted:
        notes.append(f"Hidden folders with photos are classes, too: {listed(dotted)}. Remove them if not.")
    return examples, notes


def _folders_without_photos(
    entries: Sequence[Entry], photos: Mapping[int, Parts], root: Parts, kinds: Mapping[str, Part]
) -> list[str]:
    """Tell of folders beside the class folders that no photo lies in: a class vanishes otherwise."""
    full = {parts[:depth] for parts in photos.values() for depth in range(1, len(parts))}
    depth = len(root) + (2 if kinds else 1)
    empty = set()
    for entry in entries:
        parts = path_of(entry.name)
        folders = (*parts[:-1], normalised(parts[-1])) if entry.is_folder and parts else parts[:-1]
        place = folders[:depth] if parts is not TOO_DEEP else ()
        is_beside = len(place) == depth and place[: len(root)] == root and place not in full
        if is_beside and not any(map(is_litter, place)) and (not kinds or place[len(root)] in kinds):
            empty.add(place[-1])
    return [f"Folders without photos: {listed(sorted(empty))}. They are no classes."] if empty else []
