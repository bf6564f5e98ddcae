import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from training.engine.events import TrainingError
from training.engine.loop.optimization import (
    OPTIMIZERS,
    LearningRate,
    TrainConfig,
    balancing_weights,
    make_optimizer,
    make_train_config,
)
from training.engine.request import Hyperparameters

DEFAULTS = {"optimizer": "adamw", "learning_rate": 1e-3, "batch_size": 32, "epochs": 8, "one_cycle": True}
STEPS = 7


def rates_of(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize("epochs", [1, 3, 10])
def test_one_cycle_is_torchs(epochs: int) -> None:
    optimizer = torch.optim.SGD([parameter()], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs * STEPS, cycle_momentum=False)
    expected = rates_of(theirs, epochs * STEPS - 1)
    ours = LearningRate(TrainConfig("sgd", 0.1, 32, epochs, one_cycle=True), STEPS)
    assert [ours.at(step) for step in range(epochs * STEPS - 1)] == pytest.approx(expected)


def test_step_lr_is_torchs() -> None:
    optimizer = torch.optim.SGD([parameter()], lr=0.1)
    expected = rates_of(torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.3), 7)
    ours = LearningRate(TrainConfig("sgd", 0.1, 32, 7, step_lr={"step_size": 2, "gamma": 0.3}), STEPS)
    assert [ours.at(epoch * STEPS) for epoch in range(7)] == pytest.approx(expected)
    assert ours.at(2 * STEPS - 1) == pytest.approx(0.1)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=30), st.integers(0, 4))
def test_reduce_lr_on_plateau_is_torchs(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([parameter()], lr=0.1)
    settings = {"factor": 0.5, "patience": patience, "min_lr": 0.002}
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0, **settings)
    ours = LearningRate(TrainConfig("sgd", 0.1, 32, 99, reduce_lr_on_plateau=settings), STEPS)
    for epoch, loss in enumerate(losses):
        assert ours.at(epoch * STEPS) == pytest.approx(optimizer.param_groups[0]["lr"])
        theirs.step(loss)
        ours.epoch_ended(loss)


def test_plateau_goes_on_from_a_checkpoint() -> None:
    config = TrainConfig(
        "sgd", 0.1, 32, 9, reduce_lr_on_plateau={"factor": 0.1, "patience": 1, "min_lr": 0.0}
    )
    first, second = LearningRate(config, STEPS), LearningRate(config, STEPS)
    for loss in (1.0, 2.0):
        first.epoch_ended(loss)
    second.restore(first.state())
    second.epoch_ended(2.0)
    assert second.at(0) == pytest.approx(0.01)


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
    groups = make_optimizer(TrainConfig("adamw", 0.1, 1, 1, head_learning_rate=3.0), body, head).param_groups
    assert [[value.ndim for value in group["params"]] for group in groups] == [[2], [1], [2, 1]]
    assert [group["weight_decay"] > 0 for group in groups] == [True, False, False]
    assert [group["share"] for group in groups] == [1.0, 1.0, 3.0]


def test_what_is_given_wins_over_the_strategys_choice() -> None:
    config = make_train_config(
        Hyperparameters(optimizer="sgd", epochs=3, step_lr={"step_size": 1, "gamma": 0.5}), **DEFAULTS
    )
    assert (config.optimizer, config.epochs, config.learning_rate) == ("sgd", 3, 1e-3)
    assert not config.one_cycle  # a schedule that was asked for takes its place


def test_schedules_that_are_off_leave_the_one_cycle() -> None:
    assert make_train_config(Hyperparameters(step_lr={}, reduce_lr_on_plateau={}), **DEFAULTS).one_cycle


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Hyperparameters(optimizer="lion"), "Known: sgd, adam, adamw"),
        (Hyperparameters(epochs=0), "epochs is 0"),
        (Hyperparameters(batch_size=0), "batch_size is 0"),
        (Hyperparameters(learning_rate=0.0), "learning_rate is 0"),
        (Hyperparameters(label_smoothing=1.0), "label_smoothing is 1"),
        (Hyperparameters(one_cycle=True, step_lr={"step_size": 1, "gamma": 0.1}), "Leave step_lr out"),
    ],
)
def test_wrong_settings_are_named(given: Hyperparameters, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        make_train_config(given, **DEFAULTS)


def test_classes_weigh_the_same_together() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [2])
    weights = balancing_weights(labels, 4)
    sums = torch.zeros(4).index_add_(0, labels, weights[labels])
    assert torch.allclose(sums[:3], torch.full((3,), 9 / 4))
    assert sums.sum() == pytest.approx(9 * 3 / 4)
