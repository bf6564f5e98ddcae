import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.specs.hyperparameters import ADVANCED, BATCH_SIZE, EPOCHS, LEARNING_RATE, PLATEAU, STEP
from training.engine.specs.options import Group, Number, UnusableOptions, check_options, plain

NUMBERS = [LEARNING_RATE, BATCH_SIZE, EPOCHS, *PLATEAU.options.values(), *STEP.options.values()]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, [1]])
def test_what_is_no_finite_number_is_refused(number: Number, value: object) -> None:
    with pytest.raises(ValueError, match="number from"):
        number.check(value)


@given(st.floats() | st.integers())
def test_accepted_numbers_are_in_range_and_others_name_it(value: float) -> None:
    try:
        assert 1e-6 <= LEARNING_RATE.check(value) <= 2
    except ValueError as error:
        assert not 1e-6 <= value <= 2
        assert "0.000001 to 2" in str(error)


@pytest.mark.parametrize(
    ("number", "least", "most"),
    [
        (LEARNING_RATE, 1e-5, 2),
        (BATCH_SIZE, 1, 256),
        (EPOCHS, 1, 20),
        (PLATEAU.options["patience"], 1, 20),
        (PLATEAU.options["factor"], 0.01, 0.5),
        (PLATEAU.options["min_lr"], 1e-5, 2),
        (STEP.options["step_size"], 1, 10),
        (STEP.options["gamma"], 0.01, 0.9),
    ],
)
def test_ranges_hold_those_of_older_clients(number: Number, least: float, most: float) -> None:
    assert number.check(least) == least
    assert number.check(most) == most


def test_options_that_are_not_set_are_left_out() -> None:
    assert check_options({"one_cycle": None, "label_smoothing": 0}, ADVANCED) == {"label_smoothing": 0.0}
    assert check_options({}, ADVANCED) == {}


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(UnusableOptions) as raised:
        check_options(
            {"one_cycle": 1, "augmentation": "wild", "early_stopping": 2.5, "label_smoothing": 0.6, "x": 1},
            ADVANCED,
        )
    assert set(raised.value.problems) == {
        "one_cycle",
        "augmentation",
        "early_stopping",
        "label_smoothing",
        "x",
    }
    assert "none, light, strong" in str(raised.value)


@pytest.mark.parametrize("given_options", [None, 3, "all", [1]])
def test_options_are_an_object(given_options: object) -> None:
    with pytest.raises(UnusableOptions, match="object"):
        check_options(given_options, ADVANCED)


def test_group_that_has_to_be_complete_names_what_is_missing() -> None:
    with pytest.raises(UnusableOptions, match="patience: is missing"):
        PLATEAU.check({"factor": 0.1, "min_lr": 1e-5})


@pytest.mark.parametrize("group", [PLATEAU, STEP])
def test_groups_are_completed_with_usual_values_that_can_be_used(group: Group) -> None:
    usual = group.completed({})
    assert group.check(usual) == usual
    assert group.completed({**dict.fromkeys(usual), "gamma": 0.5, "factor": 0.5}) == {
        name: 0.5 if name in ("gamma", "factor") else value for name, value in usual.items()
    }


@pytest.mark.parametrize(
    ("number", "words"), [(1e-6, "0.000001"), (2, "2"), (1024, "1,024"), (0.99, "0.99"), (2.0, "2")]
)
def test_numbers_are_written_without_exponents(number: float, words: str) -> None:
    assert plain(number) == words
