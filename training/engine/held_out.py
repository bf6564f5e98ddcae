"""A finished model measured on the test part that its data set brings: on its published file, as it will answer.

No strategy knows of a test part, and nothing is chosen by these figures.
"""

from collections.abc import Sequence

import numpy as np

from models_registry.artifacts import InvalidInput, Predictor
from models_registry.artifacts.model_metrics import TestMetrics

from .events import Progress
from .examples import TestPart
from .loop.evaluation import evaluate

AT_ONCE = 64


def measure_test_part(
    part: TestPart, onnx: bytes, classes: Sequence[str], *, threads: int, progress: Progress
) -> TestMetrics | None:
    """Return the figures of a test part; None where none of its examples counts. Raises `TrainingStopped`."""
    predictor = Predictor.from_bytes(onnx, threads=threads)
    answers, answered = [], []
    for start in range(0, len(part.labels), AT_ONCE):
        progress.tell(start, len(part.labels), "Measuring on the test set")
        places = range(start, min(start + AT_ONCE, len(part.labels)))
        for found, probabilities in _answers(predictor, part, places):
            answered += found
            answers.append(probabilities)
    if not answered:
        return None
    figures = evaluate(np.concatenate(answers), part.labels[answered], classes, [""] * len(answered))
    return {
        "examples": len(answered),
        "accuracy": figures["accuracy"],
        "accuracy_low": figures["accuracy_low"],
        "accuracy_high": figures["accuracy_high"],
        "macro_f1": figures["macro_f1"],
        "per_class": figures["per_class"],
        "copies": part.copies,
        "unknown": part.unknown,
    }


def _answers(
    predictor: Predictor, part: TestPart, places: Sequence[int]
) -> list[tuple[list[int], np.ndarray]]:
    """Return the probabilities of some examples, without those that turn out to be unreadable."""
    try:
        return [(list(places), predictor.probabilities([part.raw(place) for place in places]))]
    except InvalidInput:
        if len(places) == 1:
            return []
        return [found for place in places for found in _answers(predictor, part, [place])]
