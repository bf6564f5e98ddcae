"""Whether fine-tuning has paid: its answer and that of the strategy `frozen` on the same validation examples.

Who waits longer must not get less. A few steps on few examples can spoil what a network knew, and what is
published has gone through more steps than were measured. So the fine-tuned network has to be better by more than
chance explains, or else the answer of `frozen`, whose features are at hand anyway, is published. The mean of several
networks is steadier, and what is published is the mean of more: it has to be better, that is all.
"""

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
    gain = _losses(frozen, labels) - _losses(tuned, labels)
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return bool(gain.mean() > SURE * error)


def has_less_loss(averaged: Array, frozen: Array, labels: Labels) -> bool:
    """Return whether the first probabilities, N × classes, have less loss than others, both at their temperatures."""
    return calibrated_loss(averaged, labels) < calibrated_loss(frozen, labels)


def candidate(name: str, probabilities: Array, labels: Labels) -> ViewMetrics:
    """Return the figures of one of the answers as plain data."""
    return {
        "name": name,
        "loss": round(calibrated_loss(probabilities, labels), 4),
        "accuracy": round(accuracy(probabilities, labels), 4),
    }


def accuracy(probabilities: Array, labels: Labels) -> float:
    """Return how many are right, 0…1."""
    return float((probabilities.argmax(1) == labels).mean())


def calibrated_loss(probabilities: Array, labels: Labels) -> float:
    """Return the mean cross-entropy at the best temperature."""
    return float(_losses(probabilities, labels).mean())


def _losses(probabilities: Array, labels: Labels) -> Array:
    scores = torch.from_numpy(np.log(np.clip(probabilities, 1e-30, None)))
    truth = torch.from_numpy(labels)
    _, factor = calibrated(scores, truth)
    losses: Array = functional.cross_entropy(scores * factor, truth, reduction="none").numpy()
    return losses
