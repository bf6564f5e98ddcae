"""Turn what a sandbox answers into predictions; what makes no sense is the model's fault."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from ..errors import InvalidModel
from ..explanations import ActivationMap, Explanation, NoExplanation, Word, WordImportance
from ..explanations.images import NO_PLACES
from ..predictor import TOP, Prediction
from .messages import Message

ROUNDING = 1e-3  # by which a sum of probabilities may miss
MOST_PLACES = 512  # on a side of a map


def read_predictions(answer: dict[str, object], classes: Collection[str], inputs: int) -> list[Prediction]:
    """Return a prediction for each input. Raises `InvalidModel` for what are no probabilities of classes."""
    rows = answer.get("predictions")
    if not isinstance(rows, list) or len(rows) != inputs:
        raise InvalidModel(f"It does not answer once for each of {inputs} inputs.")
    return [_prediction(row, classes) for row in rows]


def _prediction(row: Any, classes: Collection[str]) -> Prediction:
    try:
        top = tuple((label, float(probability)) for label, probability in row)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidModel("It answers with what are no probabilities.") from error
    if not 1 <= len(top) <= TOP or not all(
        isinstance(label, str) and label in classes and _is_share(probability) for label, probability in top
    ):
        raise InvalidModel("It answers with what are no probabilities.")
    return Prediction(*top[0], top)


def read_explanations(
    answer: Message, classes: Collection[str], inputs: Sequence[bytes | str]
) -> list[Explanation]:
    """Return an explanation for each input. Raises `InvalidModel` for what cannot be one."""
    found = answer.get("explanations")
    if not isinstance(found, list) or len(found) != len(inputs):
        raise InvalidModel(f"It does not explain each of {len(inputs)} inputs.")
    try:
        return [_explanation(one, classes, given) for one, given in zip(found, inputs, strict=True)]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidModel("It explains what it says with what is no explanation.") from error


def _explanation(one: Message, classes: Collection[str], given: bytes | str) -> Explanation:
    """Return one explanation. Raises `ValueError` and its like."""
    if one["kind"] == "none":
        return NoExplanation(NO_PLACES.reason)
    if one["label"] not in classes:
        raise ValueError("no class of the model's")
    if one["kind"] == "map" and isinstance(given, bytes):
        rows = tuple(tuple(map(float, row)) for row in one["rows"])
        left, top, width, height = map(float, one["box"])
        if not all(map(_is_share, (left, top, width, height, *(place for row in rows for place in row)))):
            raise ValueError("a map is of shares")
        if not 1 <= len(rows) <= MOST_PLACES or {len(row) for row in rows} != {len(rows[0])}:
            raise ValueError("a map is a rectangle")
        if not 1 <= len(rows[0]) <= MOST_PLACES:
            raise ValueError("a map has columns")
        return ActivationMap(one["label"], rows, (left, top, width, height))
    if one["kind"] == "words" and isinstance(given, str):
        return WordImportance(one["label"], tuple(_words(one["words"], given)))
    raise ValueError("another kind of explanation")


def _words(found: Any, text: str) -> list[Word]:
    words, shown = [], 0
    for start, end, importance in found:
        if not (isinstance(start, int) and isinstance(end, int) and shown <= start < end <= len(text)):
            raise ValueError("a word is a part of the text, after the one before it")
        if not abs(float(importance)) <= 1 + ROUNDING:
            raise ValueError("an importance is a difference of shares")
        words.append(Word(text[start:end], start, end, float(importance)))
        shown = end
    return words


def _is_share(number: float) -> bool:
    return math.isfinite(number) and -ROUNDING <= number <= 1 + ROUNDING
