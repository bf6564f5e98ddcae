import math

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models_registry.artifacts.ngrams import NgramVocabulary
from training.engine.strategies import ngrams
from training.engine.strategies.linear_head import minimise
from training.engine.strategies.ngrams import SparseMatrix, View, balance, choose_view

TEXTS = ["one two", "two three four", "three one", "four five six", "six two", "one five"]
LABELS = np.array([0, 1, 0, 2, 1, 2])


def matrix() -> tuple[SparseMatrix, np.ndarray]:
    vocabulary = NgramVocabulary.learn(TEXTS, most=1000)
    rows = vocabulary.encode(TEXTS)
    dense = np.zeros((len(TEXTS), len(vocabulary)), np.float32)
    for number, row in enumerate(rows):
        dense[number, row.ids] = row.weights
    return SparseMatrix.of(vocabulary, TEXTS), dense


def transposed_times(matrix: SparseMatrix, errors: torch.Tensor) -> torch.Tensor:
    sums = torch.zeros(len(matrix.variances), errors.shape[1])
    matrix.add_transposed_times(errors, sums)
    return sums


def test_sparse_matrix_multiplies_as_a_dense_one_does() -> None:
    sparse, dense = matrix()
    weight = torch.randn(dense.shape[1], 3)
    errors = torch.randn(dense.shape[0], 3)
    np.testing.assert_allclose(sparse.times(weight), dense @ weight.numpy(), atol=1e-5)
    np.testing.assert_allclose(transposed_times(sparse, errors), dense.T @ errors.numpy(), atol=1e-5)
    np.testing.assert_allclose(sparse.variances, (dense**2).mean(0), atol=1e-6)


def test_part_of_a_sparse_matrix_has_its_rows() -> None:
    sparse, dense = matrix()
    weight = torch.randn(dense.shape[1], 3)
    for rows in (range(2, 5), np.array([4, 0, 3]), range(0)):
        part, expected = sparse.part(rows), dense[list(rows)]
        np.testing.assert_allclose(part.times(weight), expected @ weight.numpy(), atol=1e-5)
        errors = torch.randn(len(expected), 3)
        np.testing.assert_allclose(transposed_times(part, errors), expected.T @ errors.numpy(), atol=1e-5)


@pytest.mark.parametrize("part", [4, 100])
def test_sparse_head_agrees_with_scikit_learns_logistic_regression(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrams, "PART", part)
    sparse, dense = matrix()
    assert len(list(sparse.parts())) == math.ceil(len(TEXTS) / part)
    start = torch.zeros(dense.shape[1] + 1, 3)
    found = minimise(start, (sparse, torch.from_numpy(LABELS)), 1e-2, lambda: None).numpy()
    reference = LogisticRegression(C=1 / (1e-2 * len(LABELS)), max_iter=1000, tol=1e-8).fit(dense, LABELS)
    logits = dense @ found[:-1] + found[-1]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, reference.predict_proba(dense), atol=2e-3)


def test_vectors_are_those_of_scikit_learn_where_both_mean_the_same() -> None:
    """Characters within words, and idf as it smooths it."""
    vocabulary = NgramVocabulary.learn(TEXTS, most=1000)
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), min_df=2).fit(TEXTS)
    idf = dict(zip(theirs.get_feature_names_out(), theirs.idf_, strict=True))
    ours = sorted(set(np.round(vocabulary.idf.astype(float), 4)))
    assert {round(idf[name], 4) for name in ("one", " two ", "six")} <= set(ours)


def scores(strong: float, seed: int) -> np.ndarray:
    """Log-probabilities that are right more often the stronger they are."""
    logits = np.random.default_rng(seed).normal(size=(400, 3))
    logits[np.arange(400), TRUTH] += strong
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


TRUTH = np.random.default_rng(9).integers(0, 3, 400)


def test_two_good_views_are_worth_more_than_one() -> None:
    first, second = scores(1.5, 1), scores(1.5, 2)
    one, two = balance([first, second], TRUTH)
    assert one == pytest.approx(two, rel=0.3)
    joined = one * first + two * second
    assert (joined.argmax(1) == TRUTH).mean() > (first.argmax(1) == TRUTH).mean() + 0.03


def test_view_that_is_too_sure_is_toned_down() -> None:
    [weight] = balance([3 * scores(1.5, 1)], TRUTH)
    assert 0.2 < weight < 0.7


def test_view_that_knows_nothing_weighs_little() -> None:
    one, two = balance([scores(2.0, 1), scores(0.0, 2)], TRUTH)
    assert two < 0.2 * one


@pytest.mark.parametrize(
    ("losses", "needs_network", "name"),
    [
        ((0.5, 0.9, 0.4), False, "both"),
        ((0.5, 0.9, 0.499), False, "first"),
        ((0.9, 0.5, 0.499), False, "second"),
        ((0.9, 0.5, 0.499), True, "both"),
        ((0.5, 0.9, 0.499), True, "first"),
    ],
)
def test_both_views_are_taken_where_that_is_clearly_better(
    losses: tuple[float, ...], needs_network: bool, name: str
) -> None:
    views = [View(word, loss, 0.5) for word, loss in zip(("first", "second", "both"), losses, strict=True)]
    assert choose_view(views, needs_network=needs_network).name == name
