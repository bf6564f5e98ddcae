"""Figures as pages show them: percent."""

from typing import NamedTuple

from ..statistics import Figures


class Percent(NamedTuple):
    """A figure and its 95 % interval, in percent."""

    value: float
    low: float
    high: float


def accuracy_of(figures: Figures) -> Percent:
    """Return the accuracy."""
    return Percent(100 * figures["accuracy"], 100 * figures["accuracy_low"], 100 * figures["accuracy_high"])


def macro_f1_of(figures: Figures) -> Percent:
    """Return the mean of every class's F1."""
    return Percent(100 * figures["macro_f1"], 100 * figures["macro_f1_low"], 100 * figures["macro_f1_high"])
