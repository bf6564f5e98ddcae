import numpy as np
import pytest
import torch

from training.engine.strategies.features import Seen
from training.engine.strategies.linear_head import refit_head, select_head
from training.engine.strategies.out_of_fold import (
    MOST_FOLDS,
    OutOfFold,
    are_few,
    calibrated,
    deal,
    dense_out_of_fold,
)

CLASSES, DIMENSION = 8, 64
Part = tuple[np.ndarray, np.ndarray]


def clusters(each: int, seed: int) -> Part:
    """Overlapping classes in many dimensions, of which few examples show little."""
    centres = np.random.default_rng(7).normal(size=(CLASSES, DIMENSION))
    labels = np.repeat(np.arange(CLASSES), each)
    noise = np.random.default_rng(seed).normal(size=(len(labels), DIMENSION))
    return (centres[labels] + 2.2 * noise).astype(np.float32), labels


def cross_validate(part: Part) -> OutOfFold:
    folds = deal(part[1], range(len(part[1])), 0)
    found = dense_out_of_fold(Seen(part[0]), part[1], folds, CLASSES, check=lambda: None)
    assert found is not None
    return found


def accuracy_of(part: Part, strength: float, test: Part) -> float:
    start = select_head(part, part, CLASSES, strength=strength, on_point=lambda *_: None, check=lambda: None)
    head = refit_head(*part, start.head, strength, check=lambda: None)
    return float((head.probabilities(test[0]).argmax(1) == test[1]).mean())


def test_few_are_counted_by_class_and_altogether() -> None:
    assert are_few(30, 1)
    assert not are_few(31, 1)
    assert not are_few(3_001, 1_000)
    assert are_few(200, 2, 60)  # near copies of so many different ones
    assert not are_few(200, 2, 61)


def test_folds_keep_groups_of_several_classes_together() -> None:
    labels, groups = np.array([0, 1, 2] * 40), [place // 6 for place in range(120)]
    folds = deal(labels, groups, 0)
    assert all(len(set(folds[6 * group : 6 * group + 6].tolist())) == 1 for group in range(20))
    assert np.bincount(folds).tolist() == [30] * MOST_FOLDS
    # A class of one group stays in training with all of its group.
    assert deal(np.array([0, 0, 0, 1]), ["a", "b", "c", "c"], 0).tolist()[2:] == [-1, -1]


def test_folds_keep_copies_together_and_leave_something_of_each_class_to_learn_from() -> None:
    labels = np.array([0] * 9 + [1] * 2 + [2])
    groups = ["a", "a", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    folds = deal(labels, groups, 3)
    assert len(set(folds[:3])) == 1
    assert set(folds[:9]) == set(range(MOST_FOLDS))
    assert len(set(folds[9:11])) == 2
    assert folds[11] == -1  # held out, its class would be unknown
    assert deal(labels, groups, 3).tolist() == folds.tolist()


def test_folds_of_small_classes_are_of_about_one_size() -> None:
    labels = np.repeat(np.arange(20), 3)
    sizes = np.bincount(deal(labels, range(len(labels)), 0))
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("each", [3, 10])
def test_strength_is_about_as_good_as_the_best_for_new_examples(each: int) -> None:
    test, strengths = clusters(200, 99), (1e-1, 1e-2, 1e-3, 1e-4, 1e-6)
    part = clusters(each, 0)
    chosen = accuracy_of(part, cross_validate(part).strength, test)
    given = [accuracy_of(part, strength, test) for strength in strengths]
    assert chosen > np.mean(given) - 0.005
    assert chosen > max(given) - 0.04


def test_each_example_is_judged_once_by_heads_that_do_not_know_it() -> None:
    features, labels = clusters(4, 0)
    features[0] = 40.0  # like no other: a head that knew it would be sure of it
    found = cross_validate((features, labels))
    assert sorted(found.rows.tolist()) == list(range(len(labels)))
    row = found.rows.tolist().index(0)
    assert found.logits[row].argmax() != labels[0]


def test_other_views_of_an_example_are_held_out_with_it() -> None:
    features, labels = clusters(4, 0)
    features[0] = 40.0
    seen = Seen(features, np.stack([features, features], axis=1))
    folds = deal(labels, range(len(labels)), 0)
    found = dense_out_of_fold(seen, labels, folds, CLASSES, check=lambda: None)
    assert found is not None
    assert len(found.rows) == len(labels)
    assert found.logits[found.rows.tolist().index(0)].argmax() != labels[0]


def test_one_example_of_each_class_cannot_be_held_out() -> None:
    features, labels = clusters(1, 0)
    folds = deal(labels, range(len(labels)), 0)
    assert dense_out_of_fold(Seen(features), labels, folds, CLASSES, check=lambda: None) is None


def test_loss_is_measured_at_the_best_temperature() -> None:
    logits = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    truth = torch.distributions.Categorical(logits=8 * logits).sample()
    loss, factor = calibrated(logits, truth)
    assert 5 < factor < 12
    assert loss == pytest.approx(calibrated(8 * logits, truth)[0], abs=0.01)
