"""A contest between ways to train, within a time: who does well with few epochs goes on with more.

Each way, a `Recipe`, is first trained for a few epochs; the better half then gets twice as many from the start, and so
on (successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", 2016). Who was not better with twice as many does not go on. It ends when nobody does, or when the time
that is left would not do for a further training. A way that would take most of the time is not tried when there is
another: it would leave too little for those that have shown what they are worth.
What each has said of the examples that it had not learnt from is kept, so that an attempt that dies loses one training.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ..events import Progress, RankedAnswer, RunningMetrics, TrainingError
from ..loop.loop import Epoch
from ..specs.hyperparameters import TrainConfig
from .comparison import calibrated_loss
from .linear_head import Array, Labels

logger = logging.getLogger(__name__)

SHORTEST, LONGEST = 3, 96  # epochs of a training, where there is time
FIRST_STEPS = 150  # of the first round: fewer do not tell which way is good
MOST_FOR_NEW = 0.5  # of the time that is left, for a way of which nothing is known yet, when there are others


@dataclass(frozen=True)
class Recipe:
    """A way to train: its name for people, the number of stages that stay frozen, and the settings.

    `draw` tells apart trainings that differ in the order of the examples, and in what is left to chance, only.
    """

    name: str
    cut: int
    config: TrainConfig
    draw: int = 1

    def is_like(self, other: "Recipe") -> bool:
        """Return whether they differ in their epochs and in what is left to chance only."""
        return (self.name, self.config.learning_rate) == (other.name, other.config.learning_rate)

    def lasting(self, epochs: int) -> "Recipe":
        """Return it with so many epochs."""
        return replace(self, config=replace(self.config, epochs=epochs))

    @property
    def title(self) -> str:
        """Return the name with what tells it from others of that name."""
        draw = f", draw {self.draw}" if self.draw > 1 else ""
        return f"{self.name}, {self.config.epochs} epochs at {self.config.learning_rate:g}{draw}"


def fewest_epochs(steps: int) -> int:
    """Return how many epochs, of which one has so many steps, a training needs to tell anything."""
    return min(LONGEST // 2, math.ceil(FIRST_STEPS / steps))


def rounds_of(steps: int) -> list[int]:
    """Return the epochs of each round, of which one has so many steps: twice as many each time."""
    epochs = max(SHORTEST, fewest_epochs(steps))
    return [epochs << doubled for doubled in range((LONGEST // epochs).bit_length())]


@dataclass(frozen=True)
class Answer:
    """What a recipe has reached: probabilities, N × classes, of the examples that were held out, and seconds.

    `curve` are the epochs of one of its trainings.
    """

    recipe: Recipe
    probabilities: Array
    seconds: float
    curve: Sequence[Epoch]

    def to_tensors(self) -> dict[str, object]:
        """Return what a checkpoint keeps; `from_tensors` the other way."""
        return {
            "title": self.recipe.title,
            "probabilities": torch.from_numpy(self.probabilities),
            "seconds": self.seconds,
            "curve": [asdict(epoch) for epoch in self.curve],
        }

    @classmethod
    def from_tensors(cls, recipe: Recipe, kept: Mapping[str, Any]) -> "Answer":
        """Read it."""
        curve = [Epoch(**values) for values in kept["curve"]]
        return cls(recipe, kept["probabilities"].numpy(), kept["seconds"], curve)

    @property
    def seconds_per_epoch(self) -> float:
        """Return how long one pass over the training part takes."""
        return self.seconds / self.recipe.config.epochs


class Clock:
    """The time that a contest has, in seconds; what earlier attempts took of it counts."""

    def __init__(self, budget: float, spent: float = 0.0) -> None:
        self.budget = budget
        self._began = time.monotonic() - spent

    @property
    def spent(self) -> float:
        """Return how much is gone."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Return how much is left, never less than 0."""
        return max(0.0, self.budget - self.spent)


class OutOfTime(TrainingError):
    """A training that was tried took longer than there was time."""


class Announced(Progress):
    """Progress of one training as part of the whole: how much of the time is gone, and whose turn it is.

    It ends with the time, unless it `may_end_later`.
    """

    def __init__(
        self,
        whole: Progress,
        clock: Clock,
        title: str,
        board: Sequence[RankedAnswer] = (),
        *,
        may_end_later: bool = False,
    ) -> None:
        super().__init__(lambda _: None, lambda: False)
        self._whole, self._clock, self._title, self._board = whole, clock, title, tuple(board)
        self._may_end_later = may_end_later

    def tell(
        self, done: int = 0, total: int = 0, message: str = "", metrics: RunningMetrics | None = None
    ) -> None:
        """Report the part of the time that is gone."""
        self.check()
        left = round(self._clock.left)
        known = replace(metrics or RunningMetrics(), seconds_left=left, leaderboard=self._board)
        budget = round(self._clock.budget)
        self._whole.tell(budget - left, budget + 1, f"{self._title}: {message}", known)

    def is_due(self) -> bool:
        """Say whether a report would be passed on now."""
        return self._whole.is_due()

    def check(self) -> None:
        """Raise `TrainingStopped` when somebody asked for it, `OutOfTime` when the time is over."""
        self._whole.check()
        if not self._may_end_later and not self._clock.left:
            raise OutOfTime(f"There was no time left for: {self._title}.")


class Contest:
    """The contest while it runs.

    `train` trains a recipe and returns what it says of the held-out examples, whose classes are `labels`, and its
    epochs; `prepare_seconds` and `epoch_seconds` estimate how long it takes to make ready what a recipe reads, and an
    epoch; `publish_seconds` says how much is to be kept free for publishing a recipe of which an epoch takes so long.
    `known` are answers of an earlier attempt by their recipes' titles, and `keep` keeps those of this one.
    """

    def __init__(
        self,
        clock: Clock,
        labels: Labels,
        *,
        train: Callable[[Recipe], tuple[Array, Sequence[Epoch]]],
        prepare_seconds: Callable[[Recipe], float],
        epoch_seconds: Callable[[Recipe], float],
        publish_seconds: Callable[[Recipe, float], float],
        keep: Callable[[Answer], None],
        known: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._clock, self._labels = clock, labels
        self._train, self._prepare_seconds = train, prepare_seconds
        self._epoch_seconds, self._publish_seconds = epoch_seconds, publish_seconds
        self._keep, self._known = keep, known
        self._measured: dict[int, float] = {}  # seconds of an epoch, by cut
        self.answers: list[Answer] = []

    def run(self, recipes: Sequence[Recipe], rounds: Sequence[int]) -> None:
        """Train recipes, the cheapest first, for as many epochs as each round says. Raises `TrainingStopped`."""
        going = [(recipe, math.inf) for recipe in recipes]  # with the loss of the round before
        for epochs in rounds:
            found = [(recipe, before, self._try(recipe.lasting(epochs))) for recipe, before in going]
            known = [(recipe, before, answer) for recipe, before, answer in found if answer is not None]
            losses = [calibrated_loss(answer.probabilities, self._labels) for _, _, answer in known]
            better = sorted(range(len(known)), key=losses.__getitem__)[: (len(known) + 1) // 2]
            going = [(known[place][0], losses[place]) for place in better if losses[place] < known[place][1]]

    def _try(self, recipe: Recipe) -> Answer | None:
        """Train a recipe; None where there is no time for it."""
        kept = self._known.get(recipe.title)
        if kept is not None:
            return self._noted(Answer.from_tensors(recipe, kept))
        try:
            return self._train_in_time(recipe)
        except TrainingError as error:  # no time, or a learning rate that is too high for this network
            logger.info("Left out: %s: %s", recipe.title, error)
            return None

    def _train_in_time(self, recipe: Recipe) -> Answer | None:
        if self._prepare_seconds(recipe) > self._clock.left / 2:
            return None
        if recipe.cut not in self._measured:
            self._measured[recipe.cut] = self._epoch_seconds(recipe)
        each = self._measured[recipe.cut]
        needed, left = recipe.config.epochs * each, self._clock.left - self._publish_seconds(recipe, each)
        is_new = bool(self.answers) and not any(recipe.is_like(answer.recipe) for answer in self.answers)
        if needed > left * (MOST_FOR_NEW if is_new else 1):
            logger.info("Left out: %s: %.0f s of %.0f s that are left to try.", recipe.title, needed, left)
            return None
        began = time.monotonic()
        probabilities, curve = self._train(recipe)
        return self._noted(Answer(recipe, probabilities, time.monotonic() - began, curve))

    def _noted(self, answer: Answer) -> Answer:
        self._measured[answer.recipe.cut] = answer.seconds_per_epoch
        self.answers.append(answer)
        self._keep(answer)
        return answer


def by_loss(answers: Sequence[Answer], labels: Labels) -> list[Answer]:
    """Return the answers, the least loss first."""
    return sorted(answers, key=lambda one: calibrated_loss(one.probabilities, labels))


def best_epoch(curve: Sequence[Epoch]) -> int:
    """Return the number, from 1, of the epoch with the least validation loss."""
    return min(curve, key=lambda epoch: epoch.validation_loss).epoch
