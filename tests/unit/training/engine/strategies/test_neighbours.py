import numpy as np
import pytest

from training.engine.strategies import neighbours
from training.engine.strategies.neighbours import (
    AT_LEAST,
    describe_near_copies,
    directions_of,
    find_odd_ones,
    in_eight_bits,
)

SEED = 7


@pytest.fixture
def features() -> np.ndarray:
    """200 points around two centres, and two that are far from both and near one another."""
    generator = np.random.default_rng(SEED)
    centres = generator.normal(size=(3, 96)) * 3
    kinds = np.array([0, 1] * 100 + [2, 2])
    found: np.ndarray = (centres[kinds] + generator.normal(size=(202, 96))).astype(np.float32)
    return found


@pytest.mark.parametrize(
    "compared", [neighbours.COMPARED, 7 * 202, 1], ids=["whole", "in blocks", "one each"]
)
def test_odd_ones_are_those_far_from_all_others(
    features: np.ndarray, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "COMPARED", compared)
    directions = directions_of(features)
    groups = [*range(200), "same", "same"]  # near copies of one another are not company
    odd = find_odd_ones(directions, groups)
    assert np.flatnonzero(~np.isnan(odd)).tolist() == [200, 201]
    assert ((odd[200:] > 0) & (odd[200:] <= 2)).all()


def test_nothing_is_odd_among_few(features: np.ndarray) -> None:
    assert np.isnan(find_odd_ones(directions_of(features[-30:]), range(30))).all()


def test_who_waits_may_stop(features: np.ndarray) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_odd_ones(directions_of(features), range(202), stop)


def test_eight_bits_keep_who_is_near(features: np.ndarray) -> None:
    directions = directions_of(features)
    assert directions.shape == (202, 64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
    short = in_eight_bits(directions).astype(np.float32) / 127
    assert np.abs(short @ short.T - directions @ directions.T).max() < 0.02


def test_near_copies_have_one_name_and_the_likeness_of_the_two_most_alike() -> None:
    features = np.array([[2, 0], [0.6, 0.8], [0.8, 0.6], [0, 1]], np.float32)
    found = describe_near_copies(["g", "g", "g", "h"], [f"{n}" * 64 for n in range(4)], features)
    assert found.groups == ("0" * 16, "0" * 16, "0" * 16, "")
    np.testing.assert_allclose(found.likeness, [0.96, 0.96, 0.96, 0], atol=1e-6)


def test_exact_copies_are_as_alike_as_can_be() -> None:
    found = describe_near_copies(["g", "g", "h", "h"], ["1", "1", "2", "3"], None)
    np.testing.assert_allclose(found.likeness, [1, 1, AT_LEAST, AT_LEAST])
