import numpy as np
import pytest

from training.engine.loop.evaluation import MAX_MATRIX_CLASSES, calibration_error, evaluate

CLASSES = ["cat", "dog", "owl"]


def sure(predicted: list[int], probability: float = 0.8) -> np.ndarray:
    rows = np.full((len(predicted), 3), (1 - probability) / 2, np.float32)
    rows[range(len(predicted)), predicted] = probability
    return rows


def test_figures_of_a_case_counted_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    found = evaluate(sure([0, 0, 1, 1, 1, 0]), labels, CLASSES, [f"{number}.png" for number in range(6)])
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["confusion_matrix"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found["majority_baseline"] == 0.5
    cat, dog, owl = found["per_class"]
    assert (cat["precision"], cat["recall"], cat["support"]) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        3,
    )
    assert (dog["precision"], dog["recall"]) == (pytest.approx(2 / 3), 1)
    assert (owl["precision"], owl["recall"], owl["f1"]) == (0, 0, 0)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert {(pair["label"], pair["predicted"]) for pair in found["most_confused"]} == {
        ("cat", "dog"),
        ("owl", "cat"),
    }


def test_surest_mistakes_come_first() -> None:
    probabilities = np.vstack([sure([1], 0.5), sure([1], 0.9), sure([0], 0.99), sure([2], 0.7)])
    found = evaluate(probabilities, np.array([0, 0, 0, 0]), CLASSES, ["a" * 1000, "b", "c", "d"])
    mistakes = found["worst_mistakes"]
    assert [mistake["input"][:1] for mistake in mistakes] == ["b", "d", "a"]
    assert mistakes[0] == {
        "input": "b",
        "label": "cat",
        "predicted": "dog",
        "probability": pytest.approx(0.9),
    }
    assert len(mistakes[2]["input"]) == 300


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    half_right = np.array([0, 1] * 10)
    assert calibration_error(sure([0] * 20, 0.9), half_right) == pytest.approx(0.4, abs=1e-6)
    assert calibration_error(sure([0] * 20, 0.5), half_right) == pytest.approx(0.0, abs=1e-6)
    assert calibration_error(np.eye(3, dtype=np.float32), np.arange(3)) == 0


def test_very_many_classes_get_no_matrix() -> None:
    count = MAX_MATRIX_CLASSES + 1
    found = evaluate(
        np.eye(count, dtype=np.float32), np.arange(count), [str(n) for n in range(count)], [""] * count
    )
    assert found["confusion_matrix"] is None
    assert found["accuracy"] == 1
