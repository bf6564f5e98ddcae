"""What every strategy is given, and what it gives back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from training.catalogue import Architecture

from .checkpoints import Checkpoints
from .events import Progress
from .examples import Examples
from .head import Head
from .networks import State
from .ranks import ALONE, Ranks
from .request import TrainingRequest


@dataclass(frozen=True)
class Assignment:
    """One training: what is asked for, on which examples, and what it may use."""

    request: TrainingRequest
    architecture: Architecture
    examples: Examples
    threads: int
    device: torch.device
    progress: Progress
    checkpoints: Checkpoints
    ranks: Ranks = ALONE

    @property
    def cache_dir(self) -> Path:
        """Return the folder of the prepared networks."""
        return Path(self.request.cache_dir)


@dataclass(frozen=True)
class TrainedModel:
    """What a strategy found: the classifier to publish, its figures, and what they were measured on.

    `state` is that of the network before the head, None when it is the pretrained one as it was.
    """

    head: Head
    state: State | None
    tokenizer: str | None
    classes: tuple[str, ...]
    metrics: dict[str, Any]
    accuracy_plot: str
    examples: Examples
    validation: tuple[int, ...]


class Strategy(Protocol):
    """A way to train."""

    def __call__(self, assignment: Assignment) -> TrainedModel:
        """Train, telling the phases after `prepare`. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
