"""How a network is optimised: settings with their defaults, optimizers, and learning rates over time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..events import TrainingError
from ..request import Hyperparameters

MOMENTUM = 0.9
WEIGHT_DECAY = 0.01  # AdamW's own default; of matrices and convolutions only, as is usual
# Smith and Topin, "Super-Convergence", 2018, with the constants of torch's OneCycleLR.
WARM_UP, START_DIVISOR, END_DIVISOR = 0.3, 25.0, 1e4


@dataclass(frozen=True)
class TrainConfig:
    """All settings of one training, each with a value: what the user set, and a strategy's choices."""

    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    one_cycle: bool = False
    step_lr: dict[str, Any] = field(default_factory=dict)
    reduce_lr_on_plateau: dict[str, Any] = field(default_factory=dict)
    early_stopping: int = 0  # epochs; 0 for never
    class_weights: bool = False
    label_smoothing: float = 0.0
    gradient_clipping: float = 0.0  # of the gradient's norm; 0 for none
    augmentation: str = "none"
    mixed_precision: bool = False
    head_learning_rate: float = 1.0  # times the learning rate


def make_train_config(given: Hyperparameters, **defaults: Any) -> TrainConfig:
    """Return the settings that are given, completed by a strategy's defaults. Raises `TrainingError`."""
    names = set(TrainConfig.__dataclass_fields__)
    chosen = {name: value for name, value in vars(given).items() if name in names and value is not None}
    # {} is how older requests say that a schedule is off.
    schedules = [name for name in ("step_lr", "reduce_lr_on_plateau") if chosen.get(name)]
    if chosen.get("one_cycle") and schedules:
        raise TrainingError(
            f"one_cycle sets the whole course of the learning rate. Leave {schedules[0]} out."
        )
    if schedules:
        defaults["one_cycle"] = False
    config = TrainConfig(**{**defaults, **chosen})
    _check(config)
    return config


def _check(config: TrainConfig) -> None:
    if config.optimizer not in OPTIMIZERS:
        raise TrainingError(f"There is no optimizer {config.optimizer!r}. Known: {', '.join(OPTIMIZERS)}.")
    for name, least in (("batch_size", 1), ("epochs", 1), ("early_stopping", 0), ("gradient_clipping", 0)):
        if getattr(config, name) < least:
            raise TrainingError(f"{name} is {getattr(config, name)}; it must be at least {least}.")
    if not 0 < config.learning_rate <= 10:
        raise TrainingError(f"learning_rate is {config.learning_rate}; it must be over 0 and at most 10.")
    if not 0 <= config.label_smoothing < 1:
        raise TrainingError(f"label_smoothing is {config.label_smoothing}; it must be from 0 to below 1.")


def make_optimizer(config: TrainConfig, body: nn.Module, head: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of what is trainable in two modules, the head with a learning rate of its own."""
    matrices = [value for value in body.parameters() if value.requires_grad and value.ndim > 1]
    vectors = [value for value in body.parameters() if value.requires_grad and value.ndim <= 1]
    groups = [
        {"params": matrices, "share": 1.0, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "share": 1.0, "weight_decay": 0.0},
        {"params": list(head.parameters()), "share": config.head_learning_rate, "weight_decay": 0.0},
    ]
    return OPTIMIZERS[config.optimizer]([group for group in groups if group["params"]], config.learning_rate)


def _sgd(groups: list[dict[str, Any]], rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(_undecayed(groups), lr=rate, momentum=MOMENTUM, fused=True)


def _adam(groups: list[dict[str, Any]], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(_undecayed(groups), lr=rate, fused=True)


def _adamw(groups: list[dict[str, Any]], rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def _undecayed(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**group, "weight_decay": 0.0} for group in groups]


OPTIMIZERS = {"sgd": _sgd, "adam": _adam, "adamw": _adamw}


class LearningRate:
    """The learning rate at every step; only what the validation loss has decided needs to be kept."""

    def __init__(self, config: TrainConfig, steps_in_epoch: int) -> None:
        self._config = config
        self._steps_in_epoch = steps_in_epoch
        self.reduction = 1.0  # by plateaus so far
        self.best_loss = math.inf
        self.bad_epochs = 0

    def at(self, step: int) -> float:
        """Return the rate for a step, counted from 0 over all epochs."""
        config = self._config
        if config.one_cycle:
            return config.learning_rate * one_cycle(step, config.epochs * self._steps_in_epoch)
        rate = config.learning_rate
        if config.step_lr:
            epoch = step // self._steps_in_epoch
            rate *= float(config.step_lr["gamma"]) ** (epoch // int(config.step_lr["step_size"]))
        floor = float(config.reduce_lr_on_plateau.get("min_lr", 0.0))
        return max(rate * self.reduction, min(floor, rate))

    def epoch_ended(self, validation_loss: float) -> None:
        """Reduce the rate when the validation loss has not fallen for longer than the patience."""
        plateau = self._config.reduce_lr_on_plateau
        if not plateau:
            return
        if validation_loss < self.best_loss * (1 - 1e-4):
            self.best_loss, self.bad_epochs = validation_loss, 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > int(plateau.get("patience", 5)):
            self.reduction *= float(plateau.get("factor", 0.1))
            self.bad_epochs = 0

    def state(self) -> dict[str, float]:
        """Return what a checkpoint must keep."""
        return {"reduction": self.reduction, "best_loss": self.best_loss, "bad_epochs": self.bad_epochs}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what `state` returned."""
        self.reduction, self.best_loss = state["reduction"], state["best_loss"]
        self.bad_epochs = int(state["bad_epochs"])


def one_cycle(step: int, steps: int) -> float:
    """Return the share of the highest rate at a step of a one-cycle: up in 30 %, then down, along cosines."""
    peak = max(1.0, WARM_UP * steps - 1)
    if step <= peak:
        return _between(1 / START_DIVISOR, 1.0, step / peak)
    return _between(1.0, 1 / (START_DIVISOR * END_DIVISOR), (step - peak) / max(1.0, steps - 1 - peak))


def _between(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, done)))


def balancing_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, such that all classes weigh the same and an example 1 in the mean."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1).float()
    return len(labels) / (classes * counts)
