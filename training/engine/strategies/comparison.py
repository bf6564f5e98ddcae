"""Whether fine-tuning has paid: its answer and that of the strategy `frozen` on the same validation examples.

Who waits longer must not get less. A few steps on few examples can spoil what a network knew, and what is
published has gone through more steps than were measured. So the fine-tuned network has to be better by more than
chance explains, or else the answer of `frozen`, whose features are at hand anyway, is published. The mean of several
networks is steadier, and what is published is the mean of more: it has to be better, that is all.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from models_registry.artifacts.model_metrics import ViewMetrics

from .linear_head import Array, Labels
from .out_of_fold import calibrated

SURE = 2.0  # standard errors of the mean difference that count as more than chance


def is_better(tuned: Array, frozen: Array, labels: Labels) -> bool:
    """Return whether the first probabilities, N × classes, are clearly better than the second.

    They have to be right as often, and to have less loss, each at its best temperature, by more than `SURE` standard
    errors of the difference.
    """
    if accuracy(tuned, labels) < accuracy(frozen, labels):
        return False
    gain, error = _gain(_losses(tuned, labels), _losses(frozen, labels))
    return gain > SURE * error


def has_less_loss(averaged: Array, frozen: Array, labels: Labels) -> bool:
    """Return whether the first probabilities, N × classes, have less loss than others, both at their temperatures."""
    return calibrated_loss(averaged, labels) < calibrated_loss(frozen, labels)


def compared(answers: Sequence[tuple[str, Array]], labels: Labels) -> list[ViewMetrics]:
    """Return the figures of answers, N × classes each, with their names, as plain data in their order.

    Those are `alike` that have the least loss, or more by no more than `SURE` standard errors of the difference.
    """
    losses = [_losses(probabilities, labels) for _, probabilities in answers]
    least = min(losses, key=np.mean)
    found: list[ViewMetrics] = []
    for (name, probabilities), loss in zip(answers, losses, strict=True):
        gain, error = _gain(least, loss)
        found.append(
            {
                "name": name,
                "loss": round(float(loss.mean()), 4),
                "accuracy": round(accuracy(probabilities, labels), 4),
                "alike": gain <= SURE * error,
            }
        )
    return found


def accuracy(probabilities: Array, labels: Labels) -> float:
    """Return how many are right, 0…1."""
    return float((probabilities.argmax(1) == labels).mean())


def calibrated_loss(probabilities: Array, labels: Labels) -> float:
    """Return the mean cross-entropy at the best temperature."""
    return float(_losses(probabilities, labels).mean())


def _gain(one: Array, other: Array) -> tuple[float, float]:
    """Return by how much the first losses are less in the mean, and the standard error of the difference."""
    gain = other - one
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return float(gain.mean()), float(error)


def _losses(probabilities: Array, labels: Labels) -> Array:
    scores = torch.from_numpy(np.log(np.clip(probabilities, 1e-30, None)))
    truth = torch.from_numpy(labels)
    _, factor = calibrated(scores, truth)
    losses: Array = functional.cross_entropy(scores * factor, truth, reduction="none").numpy()
    return losses
