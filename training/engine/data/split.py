"""Stratified, seeded split into a training and a validation part."""

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from models_registry.inputs import DataError


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

    A copy of a training example is moved out of the validation part, so that nothing is validated on what it was
    trained on. None when there is no such split, or a class would then lie on one side only.
    """
    if "valid" not in parts or "train" not in parts:
        return None
    trained = {
        (group, label) for part, label, group in zip(parts, labels, groups, strict=True) if part != "valid"
    }
    validation = [
        index
        for index, (part, label, group) in enumerate(zip(parts, labels, groups, strict=True))
        if part == "valid" and (group, label) not in trained
    ]
    train = sorted(set(range(len(parts))) - set(validation))
    if not {labels[index] for index in train} == {labels[index] for index in validation} == set(labels):
        return None
    return Split(tuple(train), tuple(validation))


def stratified_split(
    labels: Sequence[int], train_percent: int, seed: int, *, groups: Sequence[Hashable] | None = None
) -> Split:
    """Split each class in the same ratio, by a generator seeded with `seed`.

    Examples of one class that share a group (exact duplicates) stay on one side, so that nothing
    is validated on what it was trained on. Every class gets at least one example on each side;
    `DataError` when it has only one group.
    """
    members: dict[int, dict[Hashable, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, label in enumerate(labels):
        members[label][groups[index] if groups is not None else index].append(index)
    generator = np.random.default_rng(seed)
    train: list[int] = []
    validation: list[int] = []
    for label in sorted(members):
        bundles = list(members[label].values())
        if len(bundles) < 2:
            raise DataError("A class has fewer than two different examples, so it cannot be validated.")
        shuffled = [bundles[place] for place in generator.permutation(len(bundles))]
        wanted, taken = round(sum(map(len, bundles)) * train_percent / 100), 0
        for place, bundle in enumerate(shuffled):
            is_last = place == len(shuffled) - 1
            if place == 0 or (taken < wanted and not is_last):
                train += bundle
                taken += len(bundle)
            else:
                validation += bundle
    return Split(tuple(sorted(train)), tuple(sorted(validation)))


def lone_classes(labels: Sequence[str], groups: Sequence[Hashable]) -> set[str]:
    """Return the classes that have fewer than two different examples: they cannot be validated."""
    first: dict[str, Hashable] = {}
    fine: set[str] = set()
    for label, group in zip(labels, groups, strict=True):
        if first.setdefault(label, group) != group:
            fine.add(label)
    return first.keys() - fine
