"""How far a measured accuracy may be from that on new examples, by the number of those it was measured on.

Near copies of one example are right or wrong together, and so say less than as many different ones.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

NORMAL = 1.959964  # the quantile of a normal distribution for 95 % on both sides


def accuracy_interval(
    right: npt.NDArray[np.bool_], groups: Sequence[Hashable] | None = None
) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy, 0…1; `groups` are equal for examples that belong together.

    That is Wilson's score interval (1927). For groups it is that of the effective number of examples, n divided by
    the design effect, with Student's t for the number of groups (Korn and Graubard, "Confidence Intervals for
    Proportions With Small Expected Number of Positive Counts Estimated From Survey Data", 1998).
    """
    count, share = len(right), float(right.mean())
    if groups is None:
        return _wilson(share, count, NORMAL)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    members = np.array([numbers[group] for group in groups])
    clusters = len(numbers)
    if clusters == count:
        return _wilson(share, count, NORMAL)
    if clusters < 2:
        return 0.0, 1.0
    sums = np.bincount(members, right - share)
    variance = clusters / (clusters - 1) * float((sums**2).sum()) / count**2
    independent = share * (1 - share) / count
    # Where all are right nothing shows how alike those of a group are, so that they count as one.
    as_one = float((np.bincount(members) ** 2).sum()) / count
    effect = max(1.0, variance / independent) if independent > 0 else as_one
    return _wilson(share, count / effect, student(clusters - 1))


def _wilson(share: float, count: float, quantile: float) -> tuple[float, float]:
    square = quantile**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = quantile / (1 + square / count) * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def student(freedom: int) -> float:
    """Return the quantile of Student's t for 95 % on both sides (Abramowitz and Stegun, 1964, 26.7.5)."""
    z = NORMAL
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / float(freedom**power) for power, term in enumerate(terms, start=1))
