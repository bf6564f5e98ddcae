"""Labels that look wrong, by the probabilities of models that have not learnt from the examples.

A label looks wrong where another class is much more probable than its own. How much more is the one thing to choose:
with many classes what is left for the own class is spread thin, so that the least ratio grows with their number.
Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021)
compares with the mean confidence of each class instead; decision 061 has how both do on the same probabilities.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEAST_RATIO = 3.0  # of the other class's probability to the label's own
GROWTH = 0.6  # the power of the number of classes with which it grows; by the benchmark `label_issues`
NEGLIGIBLE = 1e-9  # a probability


class LabelIssue(NamedTuple):
    """An example, by its number, whose label looks wrong; the number of the class to take instead.

    `certainty`, 0…1, is the probability of the suggested class where only that one and the label's are possible.
    """

    example: int
    suggested: int
    certainty: float


def find_label_issues(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], indices: Sequence[int]
) -> list[LabelIssue]:
    """Return the labels that look wrong, the most certain first.

    `probabilities` are N × classes, of models that have not learnt from the examples; `indices` are what the N are
    called in the answer.
    """
    count, classes = probabilities.shape
    if not count or classes < 2:
        return []
    rows = np.arange(count)
    own = np.maximum(probabilities[rows, labels], NEGLIGIBLE)
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(1)
    best = others[rows, suggested]
    found = np.flatnonzero(best > least_ratio(classes) * own)
    certainty = best / (best + own)
    ordered = found[np.argsort(-certainty[found], kind="stable")]
    return [LabelIssue(int(indices[row]), int(suggested[row]), float(certainty[row])) for row in ordered]


def least_ratio(classes: int) -> float:
    """Return how many times as probable as the label another class has to be."""
    return max(LEAST_RATIO, float(classes**GROWTH))
