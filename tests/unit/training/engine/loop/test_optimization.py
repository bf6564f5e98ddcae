from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from training.engine.events import TrainingError
from training.engine.loop.optimization import (
    OPTIMIZERS,
    LearningRate,
    balancing_weights,
    make_optimizer,
    make_train_config,
    one_cycle,
)
from training.engine.specs.hyperparameters import OPTIMIZER, Hyperparameters, TrainConfig

DEFAULT = TrainConfig("adamw", 1e-3, 32, 8, one_cycle=True)
STEPS = 7


LOSSES = st.lists(st.floats(0.01, 10), min_size=1, max_size=30)


def optimizer_of(rate: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)


def rates_of(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def our_rates(config: TrainConfig, losses: Sequence[float], *, known: int = 0) -> list[float]:
    """Return the rate of every step; the losses of the first epochs come from an earlier attempt."""
    optimizer = optimizer_of()
    ours, rates = LearningRate(config, optimizer, STEPS, losses[:known]), []
    for loss in losses[known:]:
        for _ in range(STEPS):
            rates.append(ours.value)
            optimizer.step()
            ours.step_taken()
        ours.epoch_ended(loss)
    return rates


@pytest.mark.parametrize("epochs", [1, 3, 10])
def test_one_cycle_is_torchs(epochs: int) -> None:
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer_of(), 0.1, epochs * STEPS, cycle_momentum=False)
    expected = rates_of(theirs, epochs * STEPS - 1)
    ours = our_rates(TrainConfig("sgd", 0.1, 32, epochs, one_cycle=True), [1.0] * epochs)
    assert ours[:-1] == pytest.approx(expected)


@pytest.mark.parametrize("steps", range(1, 7))
def test_one_cycle_of_a_few_steps_rises_first_and_has_learnt_at_its_end(steps: int) -> None:
    shares = [one_cycle(step, steps) for step in range(steps)]
    assert shares[0] == pytest.approx(1 / 25)
    assert steps == 1 or shares[1] == pytest.approx(1)
    assert steps < 3 or shares[-1] == pytest.approx(4e-6)


def test_step_lr_lowers_the_rate_between_epochs() -> None:
    config = TrainConfig("sgd", 0.1, 32, 7, step_lr={"step_size": 2, "gamma": 0.3})
    rates = our_rates(config, [1.0] * 7)
    assert rates[::STEPS] == pytest.approx([0.1 * 0.3 ** (epoch // 2) for epoch in range(7)])
    assert rates[2 * STEPS - 1] == pytest.approx(0.1)


def test_plateau_lowers_the_rate_after_its_patience_and_not_below_its_least() -> None:
    plateau = {"factor": 0.1, "patience": 1, "min_lr": 0.005}
    rates = our_rates(TrainConfig("sgd", 0.1, 32, 9, reduce_lr_on_plateau=plateau), [1, 0.9, *[0.95] * 6])
    assert rates[::STEPS] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.005, 0.005])


@given(losses=LOSSES, schedules=st.sets(st.sampled_from(["step_lr", "reduce_lr_on_plateau"])), data=st.data())
def test_rates_go_on_exactly_from_a_checkpoint(losses: list[float], schedules: set[str], data: Any) -> None:
    settings = {
        "step_lr": {"step_size": 2, "gamma": 0.3},
        "reduce_lr_on_plateau": {"factor": 0.5, "patience": 1, "min_lr": 0.002},
    }
    chosen = {name: settings[name] for name in schedules} or {"one_cycle": True}
    config = TrainConfig("sgd", 0.1, 32, len(losses), **chosen)
    known = data.draw(st.integers(0, len(losses)))
    assert our_rates(config, losses, known=known) == our_rates(config, losses)[known * STEPS :]


def test_rate_goes_on_with_an_optimizer_that_an_earlier_release_has_kept() -> None:
    kept = optimizer_of(0.004).state_dict()
    kept["param_groups"][0]["share"] = 1.0
    optimizer = optimizer_of()
    optimizer.load_state_dict(kept)
    config = TrainConfig("sgd", 0.1, 32, 9, step_lr={"step_size": 1, "gamma": 0.5})
    assert LearningRate(config, optimizer, STEPS, [1.0, 1.0]).value == pytest.approx(0.025)


def test_every_optimizer_on_offer_is_made() -> None:
    assert list(OPTIMIZERS) == list(OPTIMIZER.words)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_find_a_minimum(name: str) -> None:
    torch.manual_seed(0)
    body, head = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = make_optimizer(TrainConfig(name, 0.01, 32, 1), body, head)
    inputs = torch.randn(64, 4)
    losses = []
    for _ in range(200):
        loss = (head(body(inputs)) - inputs.sum(1, keepdim=True)).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 50


def test_frozen_parameters_are_left_out_and_only_matrices_decay() -> None:
    body, head = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2)), nn.Linear(2, 2)
    groups = make_optimizer(TrainConfig("adamw", 0.1, 1, 1), body, head).param_groups
    assert [[value.ndim for value in group["params"]] for group in groups] == [[2], [1], [2, 1]]
    assert [group["weight_decay"] > 0 for group in groups] == [True, False, False]


def test_what_is_given_wins_over_the_strategys_choice() -> None:
    config = make_train_config(
        Hyperparameters(optimizer="sgd", epochs=3, step_lr={"step_size": 1, "gamma": 0.5}), DEFAULT
    )
    assert (config.optimizer, config.epochs, config.learning_rate) == ("sgd", 3, 1e-3)
    assert not config.one_cycle  # a schedule that was asked for takes its place


def test_schedules_that_are_off_leave_the_one_cycle() -> None:
    assert make_train_config(Hyperparameters(step_lr={}, reduce_lr_on_plateau={}), DEFAULT).one_cycle


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Hyperparameters(optimizer="lion"), "none of sgd, adam, adamw"),
        (Hyperparameters(epochs=0), "epochs: 0 is not from"),
        (Hyperparameters(batch_size=0), "batch_size: 0 is not from"),
        (Hyperparameters(learning_rate=0.0), "learning_rate: 0 is not from"),
        (Hyperparameters(label_smoothing=1.0), "label_smoothing: 1 is not from"),
        (Hyperparameters(one_cycle=True, step_lr={"step_size": 1, "gamma": 0.1}), "Choose one of the three"),
    ],
)
def test_wrong_settings_are_named(given: Hyperparameters, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        make_train_config(given, DEFAULT)


def test_classes_weigh_the_same_together() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [2])
    weights = balancing_weights(labels, 4)
    sums = torch.zeros(4).index_add_(0, labels, weights[labels])
    assert torch.allclose(sums[:3], torch.full((3,), 9 / 4))
    assert sums.sum() == pytest.approx(9 * 3 / 4)
