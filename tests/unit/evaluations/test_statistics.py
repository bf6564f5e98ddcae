"""Figures against values that are known, or that scipy and scikit-learn compute."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from evaluations.statistics import Difference, difference, mcnemar, measure


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (1, 0), (5, 5), (3, 15), (121, 59), (480, 519), (700, 900)]
)
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-6)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_difference_counts_what_only_one_has_right() -> None:
    found = difference("aabbb", "aabab", "ababa")
    assert found == Difference(3, 1)
    assert not found.is_beyond_chance
    assert Difference(0, 6).is_beyond_chance


def test_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    labels = random.choice(list("abcd"), 300, p=[0.5, 0.3, 0.15, 0.05])
    predicted = np.where(random.random(300) < 0.8, labels, random.choice(list("abcde"), 300))
    found = measure(labels.tolist(), predicted.tolist())
    assert found["accuracy"] == pytest.approx((labels == predicted).mean())
    assert found["macro_f1"] == pytest.approx(
        f1_score(labels, predicted, labels=list("abcd"), average="macro")
    )
    precision, recall, _, support = precision_recall_fscore_support(labels, predicted, labels=list("abcd"))
    assert [row["precision"] for row in found["per_class"]] == pytest.approx(precision.tolist())
    assert [row["recall"] for row in found["per_class"]] == pytest.approx(recall.tolist())
    assert [row["support"] for row in found["per_class"]] == support.tolist()
    assert found["macro_f1_low"] < found["macro_f1"] < found["macro_f1_high"]


def test_accuracy_has_wilsons_interval_and_near_copies_count_less() -> None:
    labels, predicted = ["a"] * 100, ["a"] * 90 + ["b"] * 10
    found = measure(labels, predicted)
    # statsmodels' proportion_confint(90, 100, method="wilson")
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((0.82563, 0.94477), abs=1e-4)
    pairs = measure(labels, predicted, [number // 5 for number in range(100)])
    assert pairs["accuracy_low"] < found["accuracy_low"]


def test_interval_of_f1_holds_the_truth_about_19_times_of_20() -> None:
    """Of answers that are right in 8 of 10 cases, drawn 100 times."""
    random, held = np.random.default_rng(0), 0
    for _ in range(100):
        labels = random.choice(["a", "b"], 200)
        wrong = np.where(labels == "a", "b", "a")
        found = measure(labels.tolist(), np.where(random.random(200) < 0.8, labels, wrong).tolist())
        held += found["macro_f1_low"] <= 0.8 <= found["macro_f1_high"]
    assert 88 <= held <= 99
