import numpy as np
import pytest

from training.engine.loop.intervals import accuracy_interval, student


def test_interval_is_wilsons_for_independent_examples() -> None:
    right = np.arange(100) < 90
    # Wilson's interval of 90 of 100, as statsmodels' proportion_confint(90, 100, method="wilson") has it.
    assert accuracy_interval(right) == pytest.approx((0.82563, 0.94478), abs=1e-4)
    assert accuracy_interval(right, range(100)) == accuracy_interval(right)


def test_near_copies_count_as_one() -> None:
    right = np.repeat(np.arange(20) < 16, 6)
    low, high = accuracy_interval(right, np.repeat(np.arange(20), 6).tolist())
    alone = accuracy_interval(np.arange(20) < 16)
    assert low < 0.8 < high
    assert high - low == pytest.approx(alone[1] - alone[0], rel=0.12)
    assert high - low > 2 * np.subtract(*accuracy_interval(right)[::-1])


def test_all_right_and_one_group() -> None:
    low, high = accuracy_interval(np.ones(60, bool), np.repeat(np.arange(10), 6).tolist())
    assert high == 1
    assert low < accuracy_interval(np.ones(60, bool))[0] - 0.1
    assert accuracy_interval(np.ones(5, bool), ["a"] * 5) == (0, 1)


@pytest.mark.parametrize(("freedom", "quantile"), [(2, 4.303), (5, 2.571), (10, 2.228), (60, 2.000)])
def test_students_quantile_is_that_of_tables(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


@pytest.mark.parametrize(("clusters", "likeness"), [(25, 0.8), (60, 0.5), (100, 0.0)])
def test_interval_covers_the_truth_about_as_often_as_it_says(clusters: int, likeness: float) -> None:
    generator, truth, runs, hits = np.random.default_rng(0), 0.85, 600, 0
    for _ in range(runs):
        chances = np.full(clusters, truth)
        if likeness:
            spread = (1 - likeness) / likeness
            chances = generator.beta(truth * spread, (1 - truth) * spread, clusters)
        sizes = generator.integers(1, 9, clusters)
        right = generator.random(sizes.sum()) < np.repeat(chances, sizes)
        low, high = accuracy_interval(right, np.repeat(np.arange(clusters), sizes).tolist())
        hits += low <= truth <= high
    assert 0.91 <= hits / runs <= 0.99
