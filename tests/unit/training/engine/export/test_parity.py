import numpy as np
import pytest

from training.engine.export.parity import TOLERANCE, compare


def probabilities(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_equal_answers_hold() -> None:
    answers = probabilities((0.2, 0.8), (0.6, 0.4))
    assert compare(answers, answers).to_json() == {
        "max_abs_difference": 0.0,
        "changed_labels": 0,
        "samples": 2,
    }
    assert compare(answers, answers).holds


def test_difference_over_the_bound_fails() -> None:
    parity = compare(probabilities((0.2, 0.8)), probabilities((0.2 + 2 * TOLERANCE, 0.8 - 2 * TOLERANCE)))
    assert parity.max_abs_difference == pytest.approx(2 * TOLERANCE, rel=1e-3)
    assert parity.changed_labels == 0
    assert not parity.holds


def test_changed_label_with_a_clear_margin_is_counted() -> None:
    parity = compare(probabilities((0.9, 0.1), (0.1, 0.9)), probabilities((0.1, 0.9), (0.1, 0.9)))
    assert parity.changed_labels == 1
    assert not parity.holds


def test_changed_label_of_a_tie_is_no_mismatch() -> None:
    half = TOLERANCE / 4
    parity = compare(probabilities((0.5 + half, 0.5 - half)), probabilities((0.5 - half, 0.5 + half)))
    assert parity.changed_labels == 0
    assert parity.holds


def test_answers_that_are_no_numbers_fail() -> None:
    assert not compare(probabilities((0.5, 0.5)), probabilities((np.nan, np.nan))).holds
