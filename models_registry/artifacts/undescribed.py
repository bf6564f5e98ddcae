"""Run image models that say nothing about themselves, such as those that Flash trained.

Its contract is all there is to go by: one batch of images normalised with ImageNet's mean and
standard deviation goes in, one score for each class of the registry's entry comes out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .colours import EARLIER_DEPTHS
from .errors import InvalidModel
from .images import ImagePreprocessing
from .metadata import IMAGE_CLASSIFICATION, ModelMetadata
from .sessions import LimitedSession

SIDE = 224
RESIZE = 255  # Flash scales the shorter side to this before it cuts the centre out
SUMS_TO_ONE = 1e-3


class UndescribedSession:
    """A session with the names and the output of this platform's own models, around one of others."""

    def __init__(self, session: LimitedSession, classes: int) -> None:
        given, result = _only(session.get_inputs(), "input"), _only(session.get_outputs(), "output")
        if len(given.shape) != 4 or given.shape[1] != 3 or given.type != "tensor(float)":
            raise InvalidModel(f"Its input is {given.type} {given.shape}, not a batch of RGB images.")
        scores = result.shape[-1] if result.shape else None
        if len(result.shape) != 2 or (isinstance(scores, int) and scores != classes):
            raise InvalidModel(f"Its output is {result.shape}, not one score for each of {classes} classes.")
        self._session, self._input = session, given.name
        self._one_at_a_time = given.shape[0] == 1
        self._classes = classes
        self.side = given.shape[2] if isinstance(given.shape[2], int) else SIDE

    def get_outputs(self) -> Sequence[Any]:
        """Return what a client can ask for by name: nothing but probabilities."""
        return ()

    def run(
        self, output_names: Sequence[str], input_feed: dict[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.float32]]:
        """Return [probabilities], N × classes, for {"image": N × 3 × side × side}."""
        images = input_feed["image"]
        parts = np.split(images, len(images)) if self._one_at_a_time else [images]
        scores = np.concatenate([self._session.run(None, {self._input: part})[0] for part in parts])
        if scores.shape[1] != self._classes:
            raise InvalidModel(f"It gives {scores.shape[1]} scores for {self._classes} classes.")
        return [_probabilities(scores)]


def describe(session: UndescribedSession, classes: Sequence[str]) -> ModelMetadata:
    """Return what such a model would say about itself."""
    resize = round(session.side * RESIZE / SIDE)
    preprocessing = ImagePreprocessing(
        resize=resize, crop=session.side, interpolation="bilinear", depths=EARLIER_DEPTHS
    )
    return ModelMetadata(
        public_id="",
        name="",
        task_type=IMAGE_CLASSIFICATION,
        architecture="unknown",
        strategy="",
        classes=tuple(classes),
        preprocessing=preprocessing.to_json(),
        data_sha256="",
        created="",
    )


def _only(values: Sequence[Any], what: str) -> Any:
    if len(values) != 1:
        raise InvalidModel(f"It has {len(values)} {what}s and does not say which of them to use.")
    return values[0]


def _probabilities(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return probabilities for scores of any kind: probabilities, their logarithms, or logits."""
    sums = scores.sum(axis=1)
    if (scores >= 0).all() and np.abs(sums - 1).max() < SUMS_TO_ONE:
        return scores
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)
