"""Counts classes and exact copies in eight bytes an example, so that millions fit a web process."""

from array import array
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_registry.inputs import DataError, Limits

BLOCK = 1 << 16  # examples that are compared at once; each takes some hundred bytes meanwhile


@dataclass(frozen=True)
class Copies:
    """What examples have in common.

    `duplicates` are examples beyond the first of their content, `conflicting` contents that stand in
    more than one class, `distinct` how many contents each class has. Of the validation part, `leaking` examples may
    be expected to have a copy in the training part if each example were drawn on its own.
    """

    duplicates: int
    conflicting: int
    distinct: dict[str, int]
    leaking: float


class DuplicateCounter:
    """Takes examples one by one, each as its class and a 64-bit digest of its content.

    Each becomes one number, the digest's upper bits over the class's number: sorted, copies stand
    side by side. With 2,000 classes 53 bits of the digest are left, by which one pair in two million
    examples is mistaken for copies with a probability of 0.0002.
    """

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_classes
        self._bits = limits.max_classes.bit_length()
        self._mask = (1 << self._bits) - 1
        self._numbers: dict[str, int] = {}
        self._keys = array("Q")

    def add(self, label: str, digest: bytes) -> None:
        """Count an example; of its digest eight bytes are used. Raises `DataError` for too many classes."""
        number = self._numbers.get(label)
        if number is None:
            number = self._numbers[label] = len(self._numbers)
            if number >= self._limit:
                raise DataError(
                    f"There are more than {self._limit:,} classes, the limit. Is {label[:50]!r} really a class?"
                )
        content = int.from_bytes(digest[:8], "big") >> self._bits
        self._keys.append(content << self._bits | number)

    def counts(self) -> Counter[str]:
        """Return how many examples each class has, in the order in which the classes came."""
        each = np.zeros(len(self._numbers), np.intp)
        keys = np.frombuffer(self._keys, np.uint64)
        for start in range(0, len(keys), BLOCK):
            numbers = (keys[start : start + BLOCK] & np.uint64(self._mask)).astype(np.intp)
            each += np.bincount(numbers, minlength=len(each))
        return Counter(dict(zip(self._numbers, each.tolist(), strict=True)))

    def copies(self, train_share: float) -> Copies:
        """Compare all examples; `train_share` is the training part of the split, between 0 and 1."""
        found = _Found(len(self._numbers))
        keys = np.frombuffer(self._keys, np.uint64)
        keys.sort()  # in place: nobody needs the order in which they came
        start = 0
        while start < len(keys):
            last = keys[min(start + BLOCK, len(keys)) - 1]
            end = int(np.searchsorted(keys, last | np.uint64(self._mask), side="right"))
            found.add(keys[start:end], self._bits, train_share)
            start = end
        distinct = {name: int(found.distinct[number]) for name, number in self._numbers.items()}
        return Copies(found.duplicates, found.conflicting, distinct, found.leaking)


class _Found:
    """Sums over blocks of sorted keys. A block ends where a content ends, so that none is cut."""

    def __init__(self, classes: int) -> None:
        self.duplicates = self.conflicting = 0
        self.distinct = np.zeros(classes, np.intp)
        self.leaking = 0.0

    def add(self, keys: npt.NDArray[np.uint64], bits: int, train_share: float) -> None:
        """Compare the examples of a block."""
        at_pairs = _starts(keys)  # where a content begins in a class
        pairs = keys[at_pairs]
        pair_sizes = np.diff(at_pairs, append=len(keys))
        at_contents = _starts(pairs >> np.uint64(bits))
        classes_each = np.diff(at_contents, append=len(pairs))
        content_sizes = np.add.reduceat(pair_sizes, at_contents)
        labels = (pairs & np.uint64((1 << bits) - 1)).astype(np.intp)
        self.duplicates += len(keys) - len(at_contents)
        self.conflicting += int((classes_each > 1).sum())
        self.distinct += np.bincount(labels, minlength=len(self.distinct))
        self.leaking += _leaking(content_sizes, train_share)


def _starts(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Return where runs of equal values begin."""
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))


def _leaking(sizes: npt.NDArray[np.intp], train_share: float) -> float:
    """Return how many validation examples may expect a copy in the training part.

    Each of the `sizes` examples of a content is drawn into the training part with the probability p: an example is
    in the validation part with 1 - p, and then one of the others is in the training part with 1 - (1 - p)^(sizes - 1).
    """
    out = 1 - train_share
    return float((sizes * out * (1 - out ** (sizes - 1))).sum())
