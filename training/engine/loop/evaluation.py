"""How good a model is on its validation part, in figures that a page can show. All fractions are 0…1."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from models_registry.artifacts.model_metrics import (
    CalibrationBin,
    ConfusedPair,
    MistakeMetrics,
    ModelMetrics,
)

from .intervals import accuracy_interval

MISTAKES = 12
CONFUSIONS = 10
SHOWN_CHARACTERS = 300
MAX_MATRIX_CLASSES = 200  # a larger matrix nobody can read, and it would be megabytes
CALIBRATION_BINS = 15


def evaluate(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    names: Sequence[str],
    groups: Sequence[Hashable] | None = None,
) -> ModelMetrics:
    """Return the figures of N examples; `names` are entry names or texts, to show with mistakes.

    `groups` are equal for examples that are not independent, such as near copies.
    """
    predicted = probabilities.argmax(1)
    low, high = accuracy_interval(predicted == labels, groups)
    numbers = np.arange(len(classes))
    matrix = confusion_matrix(labels, predicted, labels=numbers)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=numbers, zero_division=0
    )
    rows = zip(classes, precision, recall, f1, support, strict=True)
    return {
        "accuracy": float((predicted == labels).mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": float(f1.mean()),
        "majority_baseline": float(support.max() / support.sum()),
        "calibration_error": calibration_error(probabilities, labels),
        "calibration": calibration(probabilities, labels),
        "per_class": [
            {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for name, p, r, f, s in rows
        ],
        "confusion_matrix": matrix.tolist() if len(classes) <= MAX_MATRIX_CLASSES else None,
        "most_confused": _most_confused(matrix, classes),
        "worst_mistakes": _worst_mistakes(probabilities, labels, classes, names),
    }


def calibration(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> list[CalibrationBin]:
    """Return a reliability diagram: of each bin of confidences that has examples, their mean confidence, how
    many of them are right, and their share of all (each 0…1)."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(correct[inside].mean()),
            "share": float(inside.mean()),
        }
        for inside in (bins == number for number in range(CALIBRATION_BINS))
        if inside.any()
    ]


def calibration_error(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Return the expected calibration error over bins of equal width.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    return sum(
        group["share"] * abs(group["confidence"] - group["accuracy"])
        for group in calibration(probabilities, labels)
    )


def _most_confused(matrix: npt.NDArray[np.int64], classes: Sequence[str]) -> list[ConfusedPair]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [
        {"label": classes[label], "predicted": classes[guess], "count": int(wrong[label, guess])}
        for label, guess in pairs
        if wrong[label, guess]
    ]


def _worst_mistakes(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    names: Sequence[str],
) -> list[MistakeMetrics]:
    """Return the mistakes that the model was surest of."""
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    return [
        {
            "input": names[index][:SHOWN_CHARACTERS],
            "label": classes[labels[index]],
            "predicted": classes[predicted[index]],
            "probability": float(probabilities[index, predicted[index]]),
        }
        for index in order[:MISTAKES]
    ]
