"""Stratified, seeded split into a training and a validation part."""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models_registry.inputs import DataError

TRAIN, VALIDATION = 0, 1  # the sides of a division
NEARLY_ALL = 0.9  # of a class: what is beside so many near copies is too little to validate on


@dataclass(frozen=True)
class Split:
    """Indices into the examples; both sorted, disjoint, together all."""

    train: tuple[int, ...]
    validation: tuple[int, ...]


def parse_data_split(text: str) -> int:
    """Return the training part of "70 : 30" in percent. Raises `DataError`."""
    match = re.fullmatch(r"\s*(\d{1,2})\s*:\s*(\d{1,2})\s*", text)
    if match is None or int(match[1]) + int(match[2]) != 100 or not 10 <= int(match[1]) <= 95:
        raise DataError(
            f'{text!r} is no split. Write "70 : 30": two parts that make 100, the first from 10 to 95.'
        )
    return int(match[1])


def settled_parts(parts: Sequence[str]) -> list[str]:
    """Return which part each example belongs to; all "" when they name no training part, so that all are trained on."""
    return list(parts) if {"train", ""} & set(parts) else [""] * len(parts)


def given_split(parts: Sequence[str], labels: Sequence[int], groups: Sequence[Hashable]) -> Split | None:
    """Return the split that people have made by folders or a column: "valid" against the rest.

    What shares a group (copies, near copies) with a training example is moved out of the validation part, so that
    nothing is validated on what it was trained on. None when there is no such split, or a class would then lie on one
    side only.
    """
    if "valid" not in parts or "train" not in parts:
        return None
    trained = {group for part, group in zip(parts, groups, strict=True) if part != "valid"}
    validation = [
        index
        for index, (part, group) in enumerate(zip(parts, groups, strict=True))
        if part == "valid" and group not in trained
    ]
    train = sorted(set(range(len(parts))) - set(validation))
    if not {labels[index] for index in train} == {labels[index] for index in validation} == set(labels):
        return None
    return Split(tuple(train), tuple(validation))


def stratified_split(
    labels: Sequence[int], train_percent: int, seed: int, *, groups: Sequence[Hashable] | None = None
) -> Split:
    """Split each class in the same ratio, by a generator seeded with `seed`.

    Examples that share a group (copies, near copies, photos of one patient) stay on one side, across classes, too, so
    that nothing is validated on what it was trained on. Every class gets at least one example on each side; `DataError`
    when it has only one group, or shares its groups with so many classes that no such split is found.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index in range(len(labels)):
        members[groups[index] if groups is not None else index].append(index)
    bundles = list(_bundles(labels, members.values()))
    if min(Counter(label for bundle in bundles for label in bundle.counts).values(), default=0) < 2:
        raise DataError("A class has fewer than two different examples, so it cannot be validated.")
    division = _Division(Counter(labels), train_percent)
    division.divide_mixed([bundle for bundle in bundles if len(bundle.counts) > 1], seed)
    division.divide_pure([bundle for bundle in bundles if len(bundle.counts) == 1], seed)
    division.fill_gaps()
    return Split(*(tuple(sorted(division.examples(side))) for side in (TRAIN, VALIDATION)))


class _Bundle(NamedTuple):
    """Examples that stay together, and how many each class has of them."""

    indices: Sequence[int]
    counts: Mapping[int, int]


def _bundles(labels: Sequence[int], members: Iterable[Sequence[int]]) -> Iterator[_Bundle]:
    """Yield a bundle of each group; those of one example of a class share their counts, since there may be millions."""
    single = {label: {label: 1} for label in set(labels)}
    for found in members:
        is_single = len(found) == 1
        yield _Bundle(found, single[labels[found[0]]] if is_single else Counter(labels[i] for i in found))


class _Division:
    """Which side each bundle is on, and how many examples each class has there."""

    def __init__(self, totals: Mapping[int, int], train_percent: int) -> None:
        self._totals = totals
        self._wanted = {label: round(total * train_percent / 100) for label, total in totals.items()}
        self._bundles: tuple[list[_Bundle], list[_Bundle]] = [], []
        self._counts = Counter[int](), Counter[int]()

    def examples(self, side: int) -> Iterator[int]:
        """Yield the examples of a side."""
        return (index for bundle in self._bundles[side] for index in bundle.indices)

    def divide_mixed(self, bundles: Sequence[_Bundle], seed: int) -> None:
        """Put bundles of several classes, large ones first, where their classes lack the larger share."""
        order = np.random.default_rng((seed, 1)).permutation(len(bundles))
        for place in sorted(order.tolist(), key=lambda place: -len(bundles[place].indices)):
            lack = [
                sum(count * self._lack(label, side) for label, count in bundles[place].counts.items())
                for side in (TRAIN, VALIDATION)
            ]
            self._put(bundles[place], TRAIN if lack[TRAIN] >= lack[VALIDATION] else VALIDATION)

    def divide_pure(self, bundles: Sequence[_Bundle], seed: int) -> None:
        """Put bundles of one class, large ones first, where it lacks the larger share, and draw single examples."""
        generator = np.random.default_rng(seed)
        by_class: dict[int, list[_Bundle]] = defaultdict(list)
        for bundle in bundles:
            by_class[next(iter(bundle.counts))].append(bundle)
        for label in sorted(by_class):
            drawn = [by_class[label][place] for place in generator.permutation(len(by_class[label]))]
            drawn.sort(key=lambda bundle: -len(bundle.indices))
            for place, bundle in enumerate(drawn):
                if place == len(drawn) - 1 and not self._counts[VALIDATION][label]:
                    side = VALIDATION
                elif place == 0 and not self._counts[TRAIN][label]:
                    side = TRAIN
                elif len(bundle.indices) == 1:
                    side = TRAIN if self._counts[TRAIN][label] < self._wanted[label] else VALIDATION
                else:
                    side = TRAIN if self._lack(label, TRAIN) >= self._lack(label, VALIDATION) else VALIDATION
                self._put(bundle, side)

    def fill_gaps(self) -> None:
        """Move bundles until every class is on both sides. Raises `DataError`."""
        for side in (VALIDATION, TRAIN):
            for label in sorted(self._totals):
                if self._counts[side][label]:
                    continue
                found = self._movable(label, 1 - side)
                if found is None:
                    raise DataError(
                        "The groups hold so many classes each that no split has every class on both sides. "
                        "Add groups, or name what makes smaller ones."
                    )
                self._bundles[1 - side].remove(found)
                self._counts[1 - side].subtract(found.counts)
                self._put(found, side)

    def _movable(self, label: int, side: int) -> _Bundle | None:
        """Return the smallest bundle with a class that a side can spare."""
        rest = self._counts[side]
        spare = [
            bundle
            for bundle in self._bundles[side]
            if label in bundle.counts and all(rest[own] > count for own, count in bundle.counts.items())
        ]
        return min(spare, key=lambda bundle: len(bundle.indices), default=None)

    def _put(self, bundle: _Bundle, side: int) -> None:
        self._bundles[side].append(bundle)
        self._counts[side].update(bundle.counts)

    def _lack(self, label: int, side: int) -> float:
        """Return which share of a class a side still lacks."""
        train = self._wanted[label]
        wanted = train if side == TRAIN else self._totals[label] - train
        return (wanted - self._counts[side][label]) / self._totals[label]


@dataclass(frozen=True)
class Bundled:
    """The group of each example, and the classes of which only exact copies are kept together."""

    groups: tuple[Hashable, ...]
    loosened: tuple[str, ...]


def bundle(labels: Sequence[str], contents: Sequence[Hashable], near: Sequence[int]) -> Bundled:
    """Return what stays together on one side of a split: copies, and near copies by the numbers of their bundles.

    A class of which nearly all examples are near copies of one another could not be validated; it is split by its exact
    copies.
    """
    first: dict[Hashable, int] = {}
    joined = [first.setdefault(content, int(number)) for content, number in zip(contents, near, strict=True)]
    totals, sizes = Counter(labels), Counter(zip(labels, joined, strict=True))
    loosened = {label for (label, _), size in sizes.items() if size > NEARLY_ALL * totals[label]}
    groups = [
        ("", content) if label in loosened else group
        for label, content, group in zip(labels, contents, joined, strict=True)
    ]
    return Bundled(tuple(groups), tuple(sorted(loosened)))


def lone_classes(labels: Sequence[str], groups: Sequence[Hashable]) -> set[str]:
    """Return the classes that have fewer than two different examples: they cannot be validated."""
    first: dict[str, Hashable] = {}
    fine: set[str] = set()
    for label, group in zip(labels, groups, strict=True):
        if first.setdefault(label, group) != group:
            fine.add(label)
    return first.keys() - fine
