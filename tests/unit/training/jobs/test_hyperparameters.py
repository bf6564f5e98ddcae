import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.jobs.hyperparameters import (
    ADVANCED,
    BATCH_SIZE,
    DEFAULTS,
    EPOCHS,
    LEARNING_RATE,
    PLATEAU,
    PLATEAU_DEFAULTS,
    SGD_FACTOR,
    STEP,
    STEP_DEFAULTS,
    Number,
    UnusableOptions,
    check_options,
    defaults_of,
    plain,
)

NUMBERS = [LEARNING_RATE, BATCH_SIZE, EPOCHS, *PLATEAU.values(), *STEP.values()]


@pytest.mark.parametrize("number", [number for number in NUMBERS if isinstance(number, Number)])
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
        (PLATEAU["patience"], 1, 20),
        (PLATEAU["factor"], 0.01, 0.5),
        (PLATEAU["min_lr"], 1e-5, 2),
        (STEP["step_size"], 1, 10),
        (STEP["gamma"], 0.01, 0.9),
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
        check_options({"factor": 0.1, "min_lr": 1e-5}, PLATEAU, complete=True)


def test_defaults_are_within_their_ranges() -> None:
    assert check_options(PLATEAU_DEFAULTS, PLATEAU, complete=True) == PLATEAU_DEFAULTS
    assert check_options(STEP_DEFAULTS, STEP, complete=True) == STEP_DEFAULTS
    for chosen in DEFAULTS.values():
        assert chosen.optimizer in ("sgd", "adam", "adamw")
        LEARNING_RATE.check(chosen.learning_rate)
        BATCH_SIZE.check(chosen.batch_size)
        EPOCHS.check(chosen.epochs)


def test_defaults_are_what_the_trainers_work_with() -> None:
    from training.engine.strategies import finetune, network_training, scratch

    assert network_training.SGD_FACTOR == SGD_FACTOR
    theirs = {("finetune", *key): finetune.COMMON | chosen for key, chosen in finetune.DEFAULTS.items()}
    theirs |= {("scratch", kind, ""): scratch.COMMON | chosen for kind, chosen in scratch.DEFAULTS.items()}
    ours = {key: vars(chosen) for key, chosen in DEFAULTS.items() if key[0] != "frozen"}
    assert ours == {key: {name: chosen[name] for name in ours[key]} for key, chosen in theirs.items()}


@pytest.mark.parametrize(
    ("strategy", "kind", "chosen", "rate", "epochs"),
    [
        ("frozen", "image", {}, 0.001, 10),
        ("finetune", "image", {}, 0.001, 3),
        ("finetune", "image", {"trainable": "all"}, 0.0005, 10),
        ("finetune", "recurrent", {"trainable": "head"}, 0.002, 6),
        ("scratch", "encoder", {"optimizer": "sgd"}, 0.005, 20),
    ],
)
def test_defaults_depend_on_what_is_trained(
    strategy: str, kind: str, chosen: dict[str, str], rate: float, epochs: int
) -> None:
    found = defaults_of(strategy, kind, **chosen)
    assert (found.learning_rate, found.epochs) == (rate, epochs)


@pytest.mark.parametrize(
    ("number", "words"), [(1e-6, "0.000001"), (2, "2"), (1024, "1,024"), (0.99, "0.99"), (2.0, "2")]
)
def test_numbers_are_written_without_exponents(number: float, words: str) -> None:
    assert plain(number) == words
