import pytest

from training.engine.specs.strategies import STRATEGIES
from training.jobs.estimates import MOST, Ended, Estimates

IMAGES = "imageclassification"
COSTS = {(task, spec.name): cost for spec in STRATEGIES.values() for task, cost in spec.cost.items()}


def test_machine_that_has_trained_nothing_is_taken_for_a_usual_one() -> None:
    assert Estimates().seconds(IMAGES, "frozen", 720) == COSTS[IMAGES, "frozen"].seconds(720)


def test_unknown_strategy_has_no_estimate() -> None:
    assert Estimates().seconds(IMAGES, "magic", 720) is None


def test_pace_is_that_of_jobs_of_the_same_kind_first() -> None:
    usual, accurate = COSTS[IMAGES, "frozen"].seconds(100), COSTS[IMAGES, "finetune"].seconds(100)
    slow = Ended(IMAGES, "frozen", 100, 3 * usual)
    fast = Ended(IMAGES, "finetune", 100, accurate / 2)
    assert Estimates([slow, fast]).seconds(IMAGES, "frozen", 100) == pytest.approx(3 * usual)
    assert Estimates([slow]).seconds(IMAGES, "finetune", 100) == pytest.approx(3 * accurate)


def test_one_odd_job_does_not_make_an_absurd_estimate() -> None:
    odd = Ended(IMAGES, "frozen", 1, 1e6)
    usual = COSTS[IMAGES, "frozen"].seconds(10)
    assert Estimates([odd]).seconds(IMAGES, "frozen", 10) == pytest.approx(MOST * usual)
