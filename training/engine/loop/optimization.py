"""How a network is optimised: its settings, optimizers, and learning rates over time."""

import math
import warnings
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

from ..events import TrainingError
from ..specs.hyperparameters import OPTIONS, Hyperparameters, TrainConfig, completed, contradiction
from ..specs.options import UnusableOptions, check_options

MOMENTUM = 0.9
WEIGHT_DECAY = 0.01  # AdamW's own default; of matrices and convolutions only, as is usual
# Smith and Topin, "Super-Convergence", 2018, with the constants of torch's OneCycleLR.
WARM_UP, START_DIVISOR, END_DIVISOR = 0.3, 25.0, 1e4


def make_train_config(given: Hyperparameters, default: TrainConfig) -> TrainConfig:
    """Return the settings that are given, completed by a strategy's. Raises `TrainingError`."""
    chosen = {name: value for name, value in vars(given).items() if value is not None and value != {}}
    try:
        check_options(chosen, OPTIONS)
    except UnusableOptions as error:
        raise TrainingError(str(error)) from error
    if problem := contradiction(chosen):
        raise TrainingError(problem)
    return completed(given, default)


def make_optimizer(config: TrainConfig, body: nn.Module, head: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of what is trainable in two modules; only the body's matrices decay."""
    matrices = [value for value in body.parameters() if value.requires_grad and value.ndim > 1]
    vectors = [value for value in body.parameters() if value.requires_grad and value.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
        {"params": list(head.parameters()), "weight_decay": 0.0},
    ]
    return OPTIMIZERS[config.optimizer]([group for group in groups if group["params"]], config.learning_rate)


def _sgd(groups: list[dict[str, object]], rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(_undecayed(groups), lr=rate, momentum=MOMENTUM, fused=True)


def _adam(groups: list[dict[str, object]], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(_undecayed(groups), lr=rate, fused=True)


def _adamw(groups: list[dict[str, object]], rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def _undecayed(groups: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    return [{**group, "weight_decay": 0.0} for group in groups]


OPTIMIZERS = {"sgd": _sgd, "adam": _adam, "adamw": _adamw}


class LearningRate:
    """The learning rate of an optimizer over a training, set by torch's schedulers.

    A one-cycle changes it at every step, steps and plateaus between epochs. `losses` are the validation
    losses of the epochs that an earlier attempt has trained: they decide all that follows, so that nothing
    else needs to be kept.
    """

    def __init__(
        self,
        config: TrainConfig,
        optimizer: torch.optim.Optimizer,
        steps_in_epoch: int,
        losses: Sequence[float] = (),
    ) -> None:
        self._optimizer = optimizer
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] = config.learning_rate
        self._by_step: LRScheduler | None = None
        self._by_epoch: LRScheduler | None = None
        self._plateau: ReduceLROnPlateau | None = None
        if config.one_cycle:
            share = partial(one_cycle, steps=config.epochs * steps_in_epoch)
            self._by_step = LambdaLR(optimizer, share, last_epoch=len(losses) * steps_in_epoch - 1)
        if config.step_lr:
            self._by_epoch = StepLR(
                optimizer, int(config.step_lr["step_size"]), float(config.step_lr["gamma"])
            )
        if config.reduce_lr_on_plateau:
            self._plateau = ReduceLROnPlateau(optimizer, eps=0, **config.reduce_lr_on_plateau)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            for loss in losses:
                self.epoch_ended(loss)

    @property
    def value(self) -> float:
        """Return the learning rate of the next step."""
        rate: float = self._optimizer.param_groups[0]["lr"]
        return rate

    def step_taken(self) -> None:
        """Go on after a step of the optimizer."""
        if self._by_step:
            self._by_step.step()

    def epoch_ended(self, validation_loss: float) -> None:
        """Go on after an epoch."""
        if self._by_epoch:
            self._by_epoch.step()
        if self._plateau:
            self._plateau.step(validation_loss)


def one_cycle(step: int, steps: int) -> float:
    """Return the share of the highest rate at a step of a one-cycle: up in 30 %, then down, along cosines.

    It is torch's OneCycleLR, which ends trainings of a few steps at its lowest rate before they have learnt.
    """
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
