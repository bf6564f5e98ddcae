import numpy as np
import pytest

from training.engine.label_issues import find_label_issues, least_ratio


def test_label_that_another_class_outdoes_is_flagged() -> None:
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.3, 0.7], [0.05, 0.95]], np.float32)
    issues = find_label_issues(probabilities, np.array([0, 0, 0, 0]), [10, 11, 12, 13])
    assert [(issue.example, issue.suggested) for issue in issues] == [
        (13, 1),
        (11, 1),
    ]  # 0.7 is not thrice 0.3
    assert issues[0].certainty == pytest.approx(0.95)


def test_more_classes_need_a_larger_ratio() -> None:
    assert least_ratio(2) == 3
    assert least_ratio(100) > 10


@pytest.mark.parametrize("shape", [(0, 3), (2, 1)])
def test_nothing_to_compare_flags_nothing(shape: tuple[int, int]) -> None:
    assert find_label_issues(np.ones(shape, np.float32), np.zeros(shape[0], np.int64), range(shape[0])) == []
