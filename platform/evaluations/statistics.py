"""How good answers are, how certain that is, and whether one version is better than another. Knows no Django."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from models_registry.artifacts.model_metrics import ClassMetrics
from training.engine.loop.intervals import accuracy_interval

DRAWS = 1_000  # of the bootstrap
SEED = 0  # the same answers have the same interval
BEYOND_CHANCE = 0.05  # a p-value below this is said to be more than chance

Counts = npt.NDArray[np.int64]


class Figures(TypedDict):
    """How good one version's answers are. Fractions are 0…1, intervals those of 95 %."""

    examples: int
    right: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    per_class: list[ClassMetrics]


@dataclass(frozen=True)
class Difference:
    """What McNemar's exact test says of two versions: how many examples only one of them has right, and p."""

    only_first: int
    only_second: int

    @property
    def p(self) -> float:
        """The probability of so great a difference, or a greater one, between versions that are equally good."""
        return mcnemar(self.only_first, self.only_second)

    @property
    def is_beyond_chance(self) -> bool:
        """Whether p is below `BEYOND_CHANCE`."""
        return self.p < BEYOND_CHANCE


def measure(
    labels: Sequence[str], predicted: Sequence[str], groups: Sequence[Hashable] | None = None
) -> Figures:
    """Return the figures of some answers, at least one. `groups` are equal for what is right or wrong together.

    The mean F1 is that over the classes that the examples have.
    """
    right = np.array([label == answer for label, answer in zip(labels, predicted, strict=True)], np.bool_)
    low, high = accuracy_interval(right, groups)
    table = _Table(labels, predicted)
    f1 = table.f1(table.counts[None])[0]
    f1_low, f1_high = table.macro_f1_interval()
    return {
        "examples": len(right),
        "right": int(right.sum()),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": float(f1.mean()),
        "macro_f1_low": f1_low,
        "macro_f1_high": f1_high,
        "per_class": table.per_class(f1.tolist()),
    }


def difference(labels: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Difference:
    """Return how two versions' answers to the same examples differ in being right."""
    rows = [(label == one, label == other) for label, one, other in zip(labels, first, second, strict=True)]
    return Difference(rows.count((True, False)), rows.count((False, True)))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (1947): of a binomial with probability one half."""
    together, fewer = only_first + only_second, min(only_first, only_second)
    term = total = 1
    for index in range(fewer):
        term = term * (together - index) // (index + 1)
        total += term
    return min(1.0, 2 * total / 2**together) if together < MOST_EXACT else _mcnemar_of_many(together, fewer)


MOST_EXACT = 1_000  # of more, 2 to the power of their number is no floating-point number


def _mcnemar_of_many(together: int, fewer: int) -> float:
    """Return the same by logarithms."""
    whole = math.lgamma(together + 1) - together * math.log(2)
    logs = (whole - math.lgamma(index + 1) - math.lgamma(together - index + 1) for index in range(fewer + 1))
    return min(1.0, 2 * math.fsum(math.exp(one) for one in logs))


class _Table:
    """Answers counted by what is true and what was answered, sorted by the former."""

    def __init__(self, labels: Sequence[str], predicted: Sequence[str]) -> None:
        self.classes = sorted(set(labels))
        number = {name: place for place, name in enumerate(self.classes)}
        other = len(self.classes)  # an answer that is no example's class
        pairs = [
            (number[label], number.get(answer, other))
            for label, answer in zip(labels, predicted, strict=True)
        ]
        cells, self.counts = np.unique(np.array(pairs, np.int64), axis=0, return_counts=True)
        self._true, self._answer = cells[:, 0], cells[:, 1]

    def f1(self, draws: Counts) -> npt.NDArray[np.float64]:
        """Return the F1 of each class for draws × cells: as many rows × classes; 0 for a class that was not drawn."""
        hits, support, answered = self._sums(draws)
        both = support + answered
        f1: npt.NDArray[np.float64] = np.divide(2 * hits, both, out=np.zeros(both.shape), where=both > 0)
        return f1

    def macro_f1_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the mean F1 by the percentile bootstrap (Efron, 1979)."""
        total = int(self.counts.sum())
        draws = np.random.default_rng(SEED).multinomial(total, self.counts / total, size=DRAWS)
        _, support, _ = self._sums(draws)
        there = support > 0
        means = self.f1(draws).sum(1, where=there) / there.sum(1)
        low, high = np.quantile(means, (0.025, 0.975))
        return float(low), float(high)

    def per_class(self, f1: Sequence[float]) -> list[ClassMetrics]:
        """Return precision, recall and F1 of each class; 0 where nothing was answered so."""
        hits, support, answered = (values[0] for values in self._sums(self.counts[None]))
        return [
            {
                "class": name,
                "precision": float(hits[place] / answered[place]) if answered[place] else 0.0,
                "recall": float(hits[place] / support[place]),
                "f1": f1[place],
                "support": int(support[place]),
            }
            for place, name in enumerate(self.classes)
        ]

    def _sums(self, draws: Counts) -> tuple[Counts, Counts, Counts]:
        """Return how often each class was hit, was there, and was answered: each draws × classes."""
        classes = len(self.classes)
        hits, answered = (np.zeros((len(draws), classes), np.int64) for _ in range(2))
        is_hit = self._true == self._answer
        hits[:, self._true[is_hit]] = draws[:, is_hit]
        support = np.add.reduceat(draws, np.searchsorted(self._true, np.arange(classes)), axis=1)
        order = np.argsort(self._answer, kind="stable")
        given, starts = np.unique(self._answer[order], return_index=True)
        sums = np.add.reduceat(draws[:, order], starts, axis=1)
        known = given < classes
        answered[:, given[known]] = sums[:, known]
        return hits, support, answered
