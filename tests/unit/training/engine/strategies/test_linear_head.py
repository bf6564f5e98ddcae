import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from training.engine import mapped_arrays
from training.engine.strategies import linear_head
from training.engine.strategies.linear_head import (
    DenseMatrix,
    Head,
    LargeMatrix,
    Matrix,
    PrincipalAxes,
    Selection,
    refit_head,
    select_head,
    that_fit,
)

DIMENSION, CLASSES = 6, 3
CPU = torch.device("cpu")
Part = tuple[np.ndarray, np.ndarray]


def clusters(count: int, seed: int, spread: float = 1.0) -> Part:
    """Examples around one centre for each class, far from the origin and in odd units."""
    centres = np.random.default_rng(99).normal(size=(CLASSES, DIMENSION))
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, count)
    features = 7 * (centres[labels] + spread * generator.normal(size=(count, DIMENSION))) - 50
    return features.astype(np.float32), labels


def transposed_times(matrix: Matrix, errors: torch.Tensor) -> torch.Tensor:
    sums = torch.zeros(len(matrix.variances), errors.shape[1])
    matrix.add_transposed_times(errors, sums)
    return sums


def select(train: Part, validation: Part, **options: object) -> Selection:
    defaults = {"on_point": lambda number, point: None, "check": lambda: None}
    return select_head(train, validation, CLASSES, **{**defaults, **options})  # type: ignore[arg-type]


def test_head_agrees_with_scikit_learns_logistic_regression() -> None:
    features, labels = clusters(300, 1)
    strength = 1e-3
    selection = select((features, labels), clusters(50, 2), strengths=[strength])
    axes = PrincipalAxes(features, CPU)
    scaled = (features - axes.mean) / axes.length
    reference = LogisticRegression(C=1 / (strength * len(labels)), max_iter=1000, tol=1e-8).fit(
        scaled, labels
    )
    np.testing.assert_allclose(
        selection.head.probabilities(features), reference.predict_proba(scaled), atol=2e-3
    )


def test_chosen_strength_has_the_least_validation_loss() -> None:
    selection = select(clusters(60, 1, spread=2.0), clusters(300, 2, spread=2.0))
    losses = [point.validation_loss for point in selection.points]
    assert losses[selection.chosen] <= min(losses) * 1.001
    assert 0 < selection.chosen < len(losses) - 1  # neither the strongest nor the weakest
    assert selection.strength == selection.points[selection.chosen].strength


def test_path_goes_on_while_the_strength_lets_nothing_be_learnt() -> None:
    """Of many classes that are hard to tell apart, the first strengths leave the loss where it was."""
    classes, dimension = 50, 200
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(classes, dimension)) * 0.1

    def some(count: int) -> Part:
        labels = generator.integers(0, classes, count)
        return (centres[labels] + generator.normal(size=(count, dimension))).astype(np.float32), labels

    train, validation = some(5_000), some(1_000)
    callbacks = {"on_point": lambda number, point: None, "check": lambda: None}
    selection = select_head(train, validation, classes, **callbacks)
    first, chosen = selection.points[0], selection.points[selection.chosen]
    assert first.validation_accuracy < 0.1
    assert chosen.validation_accuracy > 0.13
    alone = [
        select_head(train, validation, classes, strengths=[strength], **callbacks).points[0].validation_loss
        for strength in (3e-4, 1e-4, 3e-5)
    ]
    assert chosen.validation_loss < min(alone) * 1.01


def test_points_measure_the_head_that_is_returned() -> None:
    validation = clusters(100, 2)
    selection = select(clusters(100, 1), validation)
    predicted = selection.head.probabilities(validation[0]).argmax(1)
    measured = selection.points[selection.chosen].validation_accuracy
    assert (predicted == validation[1]).mean() == pytest.approx(measured)


def test_refit_uses_all_examples() -> None:
    """With what only the held-out part knows, the refitted head knows it too."""
    features, labels = clusters(200, 1, spread=0.2)
    known = labels < CLASSES - 1
    selection = select((features[known], labels[known]), (features[~known], labels[~known]), strengths=[1e-4])
    head = refit_head(features, labels, selection.head, 1e-4, check=lambda: None)
    assert (selection.head.probabilities(features[~known]).argmax(1) == labels[~known]).mean() < 0.5
    assert (head.probabilities(features).argmax(1) == labels).mean() > 0.95


def test_fit_is_the_same_again() -> None:
    heads = [select(clusters(100, 1), clusters(50, 2)).head for _ in range(2)]
    assert np.array_equal(heads[0].weight, heads[1].weight)


def test_constant_features_do_no_harm() -> None:
    features, labels = clusters(60, 1)
    features[:, 0] = 3.0
    assert np.isfinite(select((features, labels), clusters(30, 2)).head.weight).all()
    features[:] = 3.0
    probabilities = select((features, labels), (features, labels)).head.probabilities(features)
    np.testing.assert_allclose(probabilities[0], np.bincount(labels) / len(labels), atol=0.02)


@pytest.mark.parametrize("count", [40, 5], ids=["many examples", "fewer examples than dimensions"])
def test_axes_fold_away(count: int) -> None:
    features, _ = clusters(count, 3)
    generator = np.random.default_rng(0)
    head = Head(
        generator.normal(size=(DIMENSION, CLASSES)).astype(np.float32),
        generator.normal(size=CLASSES).astype(np.float32),
    )
    axes = PrincipalAxes(features, CPU)
    again = axes.unfold(axes.fold(head))
    np.testing.assert_allclose(
        features @ again.weight + again.bias, features @ head.weight + head.bias, rtol=1e-3
    )
    assert len(axes.variances) == min(DIMENSION, count - 1)
    assert axes.variances.sum().item() == pytest.approx(1, rel=1e-4)
    turned = axes.apply(features)
    np.testing.assert_allclose(
        (turned.T @ turned / count).numpy(), torch.diag(axes.variances).numpy(), atol=1e-5
    )


def test_features_of_very_different_spread_take_few_steps() -> None:
    """Ten thousand times as much variance along one axis as along another."""
    features, labels = clusters(300, 1, spread=2.0)
    features *= np.geomspace(1, 100, DIMENSION, dtype=np.float32)
    steps: list[int] = []
    select((features, labels), clusters(50, 2), strengths=[1e-3], check=lambda: steps.append(1))
    assert len(steps) < 25


def test_asking_to_stop_ends_a_fit() -> None:
    class Stop(Exception):
        pass

    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise Stop

    with pytest.raises(Stop):
        select(clusters(100, 1), clusters(50, 2), check=check)


def test_what_is_too_large_to_copy_is_multiplied_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = clusters(300, 4)
    small = PrincipalAxes(features, CPU).matrix(features)
    monkeypatch.setattr(mapped_arrays, "PIECE", 64)
    monkeypatch.setattr(linear_head, "MOST_NUMBERS", features.size - 1)
    large = PrincipalAxes(features, CPU).matrix(features)
    assert isinstance(small, DenseMatrix)
    assert isinstance(large, LargeMatrix)
    torch.testing.assert_close(large.variances, small.variances, rtol=1e-3, atol=1e-6)
    for axis in range(DIMENSION):  # which may point the other way
        weight = torch.zeros(DIMENSION, 1)
        weight[axis] = 1
        one, other = small.times(weight), large.times(weight)
        torch.testing.assert_close(one.abs(), other.abs(), rtol=1e-2, atol=1e-3)
        errors = one / one.norm()
        found, expected = (transposed_times(one, errors)[axis].abs() for one in (large, small))
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)


def test_head_on_what_is_too_large_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clusters(300, 5)
    start = select((features, labels), clusters(50, 2), strengths=[1e-2]).head
    small = refit_head(features, labels, start, 1e-3, check=lambda: None)
    monkeypatch.setattr(mapped_arrays, "PIECE", 64)
    monkeypatch.setattr(linear_head, "MOST_NUMBERS", 1)
    large = refit_head(features, labels, start, 1e-3, check=lambda: None)
    np.testing.assert_allclose(large.probabilities(features), small.probabilities(features), atol=1e-2)


def test_of_very_many_examples_some_are_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_head, "MOST_NUMBERS", 10 * DIMENSION)
    rows = list(range(100, 200))
    chosen = that_fit(rows, DIMENSION, seed=1)
    assert len(chosen) == 10
    assert chosen == sorted(set(chosen) & set(rows))
    assert that_fit(rows, DIMENSION, seed=2) != chosen
    assert that_fit(rows[:10], DIMENSION, seed=1) == rows[:10]


def test_head_on_features_that_are_never_negative_reads_their_roots() -> None:
    features, labels = clusters(300, 1)
    assert not select((features, labels), clusters(50, 2)).head.reads_roots
    shown = np.exp(features / 7) * np.random.default_rng(0).uniform(0.2, 5, (300, 1)).astype(np.float32)
    selection = select((shown[:200], labels[:200]), (shown[200:], labels[200:]))
    assert selection.head.reads_roots
    measured = selection.points[selection.chosen].validation_accuracy
    found = selection.head.probabilities(shown[200:]).argmax(1)
    assert (found == labels[200:]).mean() == pytest.approx(measured)
    again = refit_head(shown, labels, selection.head, selection.strength, check=lambda: None)
    assert again.reads_roots
    plain = Head(np.zeros_like(again.weight), np.zeros_like(again.bias))
    assert not refit_head(shown, labels, plain, selection.strength, check=lambda: None).reads_roots


def test_roots_of_what_is_too_large_to_copy_are_read_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.exp(clusters(300, 4)[0] / 7)
    monkeypatch.setattr(mapped_arrays, "PIECE", 64)
    small = PrincipalAxes(features, CPU, roots=True)
    monkeypatch.setattr(linear_head, "MOST_NUMBERS", features.size - 1)
    large = PrincipalAxes(features, CPU, roots=True).matrix(features)
    assert isinstance(large, LargeMatrix)
    weight = torch.randn(DIMENSION, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        large.times(weight), small.matrix(features).times(weight), rtol=1e-3, atol=1e-3
    )


def test_very_many_features_are_read_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.exp(clusters(300, 4)[0] / 7)
    monkeypatch.setattr(linear_head, "MOST_ROOTS", features.size - 1)
    assert not PrincipalAxes(features, CPU).roots
