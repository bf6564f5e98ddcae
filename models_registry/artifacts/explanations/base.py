"""What an explanation is, and who gives one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ActivationMap:
    """How strongly the places of an image speak for a class: rows of 0…1, from the top, the strongest place 1.

    `box` is the part of the upright image that the rows cover, which is all that the network saw: left,
    top, width and height as fractions of the whole.
    """

    label: str
    rows: tuple[tuple[float, ...], ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Word:
    """A word, or a few in a row: the characters `start` to `end` (exclusive) of the text.

    `importance` is by how much the class's probability falls when it is left out; below zero it rises.
    """

    text: str
    start: int
    end: int
    importance: float


@dataclass(frozen=True)
class WordImportance:
    """The words of a text that the network read, in their order, and how much each speaks for a class."""

    label: str
    words: tuple[Word, ...]


@dataclass(frozen=True)
class NoExplanation:
    """A model that can say what it sees and not why; the reason is for a person."""

    reason: str


Explanation = ActivationMap | WordImportance | NoExplanation


class Explainer(Protocol):
    """Classifies inputs and says why."""

    def explain(self, inputs: Sequence[bytes | str]) -> tuple[Probabilities, list[Explanation]]:
        """Return the probabilities, N × classes, and why each input's likeliest class is that.

        Raises `InvalidInput`.
        """
