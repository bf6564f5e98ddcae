import dataclasses

import pytest

from training.engine.request import TrainingRequest
from training.engine.specs.hyperparameters import (
    ADVANCED,
    IN_DOCUMENTS,
    OPTIONS,
    Hyperparameters,
    TrainConfig,
    completed,
    contradiction,
)
from training.engine.specs.options import Choice, check_options

DEFAULT = TrainConfig("adamw", 1e-3, 32, 8, one_cycle=True, label_smoothing=0.1)


def test_every_hyperparameter_says_what_it_is_and_where_it_is_kept() -> None:
    assert list(OPTIONS) == [field.name for field in dataclasses.fields(Hyperparameters)]
    assert {**IN_DOCUMENTS, **ADVANCED} == OPTIONS
    assert list(IN_DOCUMENTS) == [
        *("optimizer", "learning_rate", "batch_size", "epochs"),
        *("reduce_lr_on_plateau", "step_lr"),
    ]
    assert all(option.label and option.why for option in OPTIONS.values())


def test_every_hyperparameter_is_a_setting_of_the_loop_or_says_what_is_trained_and_how_long() -> None:
    assert set(OPTIONS) - {field.name for field in dataclasses.fields(TrainConfig)} == {
        "trainable",
        "budget_minutes",
    }


def test_what_is_set_wins_over_the_default() -> None:
    found = completed(Hyperparameters(optimizer="sgd", label_smoothing=0.0, trainable="all"), DEFAULT)
    assert found == dataclasses.replace(DEFAULT, optimizer="sgd", label_smoothing=0.0)


@pytest.mark.parametrize("name", ["step_lr", "reduce_lr_on_plateau"])
def test_schedule_that_is_set_takes_the_place_of_the_one_cycle(name: str) -> None:
    group = OPTIONS[name].completed({})  # type: ignore[union-attr]
    assert not completed(Hyperparameters(**{name: group}), DEFAULT).one_cycle
    assert completed(Hyperparameters(**{name: {}}), DEFAULT).one_cycle
    assert "Choose one of the three" in contradiction({"one_cycle": True, name: group})
    assert not contradiction({"one_cycle": False, name: group})
    assert not contradiction({"one_cycle": True, name: {}})


def test_unknown_hyperparameter_and_word_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"momentum: is not known; known are optimizer, learning_rate"):
        check_options({"momentum": 1}, OPTIONS)
    for name, option in OPTIONS.items():
        if isinstance(option, Choice):
            with pytest.raises(ValueError, match=", ".join(option.words)):
                check_options({name: "wild"}, OPTIONS)


def test_request_brings_hyperparameters_over_the_border_of_a_process() -> None:
    texts = dict.fromkeys(("public_id", "name", "task_type", "architecture", "strategy", "dataset_path"), "x")
    texts |= dict.fromkeys(("dataset_sha256", "output_dir", "cache_dir"), "x")
    given = Hyperparameters(epochs=3, step_lr={"step_size": 1, "gamma": 0.5})
    request = TrainingRequest(**texts, columns={}, hyperparameters=given)
    assert TrainingRequest.from_json(request.to_json()) == request
