"""Class activation maps (Zhou, Khosla, Lapedriza, Oliva and Torralba, 2016), which image models carry as an output.

A class's map averages to its logit, so that it says of each place how much of the logit comes from there.
That is checked whenever a map is shown: what does not add up explains nothing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..batches import Preprocessor
from ..decoding import upright_size
from ..images import ImagePreprocessing
from ..metadata import ACTIVATION_MAP
from ..sessions import Session
from .base import ActivationMap, Explanation, NoExplanation, Probabilities

# How far a map's mean may be from its logit, in logits: rounding, and nothing else.
TOLERANCE = 1e-2
DIGITS = 3
NO_PLACES = NoExplanation("This model's network does not keep places apart, so there is no map of the image.")


class MapExplainer:
    """Reads the map of the likeliest class out of the network."""

    def __init__(
        self,
        session: Session,
        inputs: Preprocessor,
        preprocessing: ImagePreprocessing,
        classes: Sequence[str],
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._preprocessing = preprocessing
        self._classes = classes

    def explain(self, inputs: Sequence[bytes | str]) -> tuple[Probabilities, list[Explanation]]:
        """Return the probabilities, N × classes, and for each image where its likeliest class is seen."""
        result = np.empty((len(inputs), len(self._classes)), np.float32)
        explanations: list[Explanation] = [NO_PLACES] * len(inputs)
        for indices, feeds in self._inputs.batches(inputs):
            logits, result[indices], maps = self._session.run(
                ["logits", "probabilities", ACTIVATION_MAP], feeds
            )
            for index, scores, places in zip(indices, logits, maps, strict=True):
                content = inputs[index]
                assert isinstance(content, bytes)  # else there would be no batches
                if np.abs(places.mean((1, 2)) - scores).max() <= TOLERANCE * max(1.0, np.abs(scores).max()):
                    explanations[index] = self._explanation(content, int(scores.argmax()), places)
        return result, explanations

    def _explanation(self, content: bytes, best: int, places: npt.NDArray[np.float32]) -> ActivationMap:
        return ActivationMap(
            self._classes[best], relative_rows(places, best), self._preprocessing.seen(*upright_size(content))
        )


def relative_rows(places: npt.NDArray[np.float32], best: int) -> tuple[tuple[float, ...], ...]:
    """Return how much each place speaks for a class, 0…1, of the maps of all classes.

    What speaks for all classes alike decides nothing (softmax does not see it), so a place counts by how
    much more it says for this class than for the average one.
    """
    rows = np.maximum(places[best] - places.mean(0), 0)
    rows = rows / (rows.max() or 1)
    return tuple(tuple(round(float(value), DIGITS) for value in row) for row in rows)


class NoExplainer:
    """Classifies, and says that there is no explanation."""

    def __init__(self, session: Session, inputs: Preprocessor, classes: Sequence[str]) -> None:
        self._session = session
        self._inputs = inputs
        self._classes = classes

    def explain(self, inputs: Sequence[bytes | str]) -> tuple[Probabilities, list[Explanation]]:
        """Return the probabilities, N × classes, and the same reason for each image."""
        result = np.empty((len(inputs), len(self._classes)), np.float32)
        for indices, feeds in self._inputs.batches(inputs):
            result[indices] = self._session.run(["probabilities"], feeds)[0]
        return result, [NO_PLACES] * len(inputs)
