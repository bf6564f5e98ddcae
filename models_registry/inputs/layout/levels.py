"""Photos whose classes are the folders at a level that a person has named."""

from collections.abc import Mapping
from itertools import chain

from .names import Part, Parts, are_of_one_dataset, split_part
from .plan import Placed


def by_level(photos: Mapping[int, Parts], level: int, *, use_split: bool) -> list[Placed]:
    """Place photos by the folder at `level`, 1 for the outermost; what lies above it is in none.

    Folders of a split around or inside the class folders are heeded where `use_split` says so.
    """
    deep = {index: parts for index, parts in photos.items() if len(parts) > level}
    at, kinds = _split_level(deep, level) if use_split else (0, {})
    return [
        Placed(index, parts[level - 1], kinds[parts[at]] if kinds else "") for index, parts in deep.items()
    ]


def _split_level(deep: Mapping[int, Parts], level: int) -> tuple[int, dict[str, Part]]:
    """Return which folder of each path is one of a split, counted from 0, and the part of each name."""
    shallowest = min((len(parts) for parts in deep.values()), default=0)
    for at in chain(range(level - 1), range(level, shallowest - 1)):
        kinds = {name: split_part(name) for name in {parts[at] for parts in deep.values()}}
        found = set(kinds.values())
        if "" not in found and "train" in found and len(found) > 1 and are_of_one_dataset(kinds):
            return at, kinds
    return 0, {}


def levels_of(photos: Mapping[int, Parts], *, most: int, names: int) -> list[list[str]]:
    """Return for each level, the outermost first, some of the folders that photos lie in."""
    found: list[dict[str, None]] = []
    for parts in photos.values():
        for depth, name in enumerate(parts[:-1][:most]):
            if depth == len(found):
                found.append({})
            if len(found[depth]) < names:
                found[depth][name] = None
    return [list(level) for level in found]
