"""What every strategy is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from models_registry.artifacts.model_metrics import ModelMetrics

from ..catalogue import Architecture
from ..events import Progress
from ..examples import Examples
from ..export.classifier import Head, NgramHead
from ..loop.checkpoints import Checkpoints
from ..loop.distributed import ALONE, Distributed
from ..loop.optimization import make_train_config
from ..networks.stages import State
from ..request import TrainingRequest
from ..specs.hyperparameters import TrainConfig
from ..specs.strategies import StrategySpec, find_strategy
from .feature_cache import FeatureCache
from .features import Seen
from .out_of_fold import UNKNOWN, OutOfFold


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
    features: FeatureCache
    ranks: Distributed = ALONE

    @property
    def cache_dir(self) -> Path:
        """Return the folder of the prepared networks."""
        return Path(self.request.cache_dir)

    @property
    def strategy(self) -> StrategySpec:
        """Return what is known of the strategy."""
        return find_strategy(self.request.strategy)

    def train_config(self, layers: str | None = None) -> TrainConfig:
        """Return the settings to train those layers with. Raises `TrainingError` for what cannot be used."""
        given = self.request.hyperparameters
        default = self.strategy.config(self.architecture.kind, layers=layers, optimizer=given.optimizer)
        return make_train_config(given, default)


@dataclass(frozen=True)
class TrainedModel:
    """What a strategy found: the classifier to publish, its figures, and what they were measured on.

    `state` is that of the network before the head, None when it is the pretrained one as it was. A text
    model has a head on a network, on n-grams, or both, whose scores are summed. `probabilities` are those of
    the validation part, N × classes; `out_of_fold` is what cross-validation said of all examples where they are
    few and their features are those of the pretrained network; `seen` are these features, of all examples, and
    `strength` is the regularisation that suits a head on them. `windows` is in how many windows the network reads a
    text. `draw` makes the accuracy plot, base64 of a small PNG, of the accuracy (0…1) that is published. `naive_gain`
    works out by how much more a naive split would have claimed (see `naive_split`), which nobody has to wait for.
    """

    head: Head | None
    state: State | None
    tokenizer: str | None
    classes: tuple[str, ...]
    metrics: ModelMetrics
    draw: Callable[[float], str]
    examples: Examples
    validation: tuple[int, ...]
    probabilities: npt.NDArray[np.float32]
    ngrams: NgramHead | None = None
    out_of_fold: OutOfFold | None = None
    seen: Seen | None = None
    strength: float = UNKNOWN
    windows: int = 1
    naive_gain: Callable[[], float | None] = lambda: None


class Strategy(Protocol):
    """A way to train."""

    def __call__(self, assignment: Assignment) -> TrainedModel:
        """Train, telling the phases after `prepare`. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
