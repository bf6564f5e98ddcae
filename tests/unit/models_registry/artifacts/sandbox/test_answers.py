from typing import Any

import pytest

from models_registry.artifacts import InvalidModel, Prediction
from models_registry.artifacts.explanations import ActivationMap, WordImportance
from models_registry.artifacts.sandbox.answers import read_explanations, read_predictions

CLASSES = ("red", "green")
RED = [["red", 0.75], ["green", 0.25]]
MAP = {"kind": "map", "label": "red", "rows": [[0, 1], [0.5, 0]], "box": [0, 0, 1, 1]}
WORDS = {"kind": "words", "label": "red", "words": [[0, 3, 0.5], [4, 7, -0.25]]}


def test_predictions_that_make_sense_are_read() -> None:
    found = read_predictions({"predictions": [RED]}, CLASSES, 1)
    assert found == [Prediction("red", 0.75, (("red", 0.75), ("green", 0.25)))]


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        [RED, RED],
        [[]],
        [None],
        [[["red", float("nan")]]],
        [[["red", float("inf")]]],
        [[["red", 2]]],
        [[["red", -1]]],
        [[["red", None]]],
        [[["red", 10**400]]],
        [[["other", 1]]],
        [[[["red"], 1]]],
        [[["red"]]],
        [RED * 3],
        "predictions",
    ],
)
def test_predictions_that_make_no_sense_are_not_believed(rows: Any) -> None:
    with pytest.raises(InvalidModel):
        read_predictions({"predictions": rows}, CLASSES, 1)


def test_explanations_that_make_sense_are_read() -> None:
    [found] = read_explanations({"explanations": [MAP]}, CLASSES, [b"image"])
    assert found == ActivationMap("red", ((0, 1), (0.5, 0)), (0, 0, 1, 1))
    [found] = read_explanations({"explanations": [WORDS]}, CLASSES, ["one two"])
    assert isinstance(found, WordImportance)
    assert [word.text for word in found.words] == ["one", "two"]


@pytest.mark.parametrize(
    "why",
    [
        None,
        [],
        {},
        {"kind": "other", "label": "red"},
        {**MAP, "label": "blue"},
        {**MAP, "rows": []},
        {**MAP, "rows": [[]]},
        {**MAP, "rows": [[0], [0, 1]]},
        {**MAP, "rows": [[0] * 10_000]},
        {**MAP, "rows": [["x"]]},
        {**MAP, "rows": [[float("nan")]]},
        {**MAP, "rows": [[2]]},
        {**MAP, "box": [0, 0, 1]},
        {**MAP, "box": [0, 0, 1, 5]},
        WORDS,
    ],
)
def test_map_that_makes_no_sense_is_not_believed(why: Any) -> None:
    with pytest.raises(InvalidModel):
        read_explanations({"explanations": [why]}, CLASSES, [b"image"])


@pytest.mark.parametrize(
    "words",
    [
        None,
        [[0, 3]],
        [[0, 3, 2]],
        [[0, 99, 0]],
        [[-1, 3, 0]],
        [[3, 0, 0]],
        [[4, 7, 0], [0, 3, 0]],
        [["0", 3, 0]],
    ],
)
def test_words_that_make_no_sense_are_not_believed(words: Any) -> None:
    with pytest.raises(InvalidModel):
        read_explanations({"explanations": [{**WORDS, "words": words}]}, CLASSES, ["one two"])
