"""What a training reports while it runs, and how it is asked to stop. Knows no torch.

A trainer's child process writes each event as one JSON object, `to_json`; the worker reads it with
`event_from_json` (`event_format` has the rules).
Metrics are kept in the rows of jobs as well, which older releases may have written: there, what is missing or no
number is None, and unknown keys are ignored.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, get_args

from .event_format import Failure, UnknownEvent, read_event, refuse_unknown_keys, value_of
from .request import TrainingResult

NEWS_EVERY = 0.2  # seconds; more often nobody can read

# Whose fault a failure is: the data set's, the settings', nobody's (it was asked to stop), the trainer's own.
FailureKind = Literal["data", "training", "stopped", "internal"]


class TrainingError(ValueError):
    """The training cannot succeed with this data or these settings; the message is for the user."""


class TrainingStopped(Exception):
    """Somebody asked the training to stop."""


@dataclass(frozen=True)
class EpochMetrics:
    """The figures of an epoch that is over, as they are shown: losses in nats, accuracies 0…1."""

    epoch: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    learning_rate: float | None = None

    def to_json(self) -> dict[str, float]:
        """Return what is known, as plain data."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what is known; anything but a number counts as unknown."""
        given = data if isinstance(data, Mapping) else {}
        return cls(
            epoch=_whole(given.get("epoch")),
            train_loss=_number(given.get("train_loss")),
            train_accuracy=_number(given.get("train_accuracy")),
            validation_loss=_number(given.get("validation_loss")),
            validation_accuracy=_number(given.get("validation_accuracy")),
            learning_rate=_number(given.get("learning_rate")),
        )


@dataclass(frozen=True)
class RankedAnswer:
    """A way to train that was tried: its name, its accuracy (0…1) on what was held out, and its seconds.

    Those are `alike` that are the best, or within what chance explains of it.
    """

    name: str
    accuracy: float
    seconds: float
    alike: bool = False

    @property
    def percent(self) -> float:
        """Return the accuracy in percent."""
        return 100 * self.accuracy

    @classmethod
    def from_json(cls, data: Mapping[object, object]) -> Self:
        """Read plain data; anything but a number counts as 0."""
        accuracy, seconds = _number(data.get("accuracy")), _number(data.get("seconds"))
        alike = data.get("alike") is True
        return cls(str(data.get("name", "")), accuracy or 0.0, seconds or 0.0, alike)


@dataclass(frozen=True)
class RunningMetrics:
    """What a training has measured so far; None is not measured, or not by this strategy.

    Epochs and steps count from 1. Losses are in nats, accuracies 0…1: `loss` and `accuracy` those of the epoch
    that runs, `validation_…` the newest ones. `strength` is the regularisation of a head that was just fitted,
    and `train_…` its figures. `curve` has the epochs that are over, `leaderboard` the ways to train that were tried,
    the best first.
    """

    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    images_per_second: float | None = None
    texts_per_second: float | None = None
    seconds_left: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    strength: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    curve: tuple[EpochMetrics, ...] | None = None
    leaderboard: tuple[RankedAnswer, ...] | None = None

    def to_json(self) -> dict[str, object]:
        """Return what is known, as plain data."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        if self.curve is not None:
            known["curve"] = [row.to_json() for row in self.curve]
        if self.leaderboard is not None:
            known["leaderboard"] = [dict(vars(row)) for row in self.leaderboard]
        return known

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what is known; anything but a number counts as unknown, and a row that is no object."""
        given = data if isinstance(data, Mapping) else {}
        curve, board = given.get("curve"), given.get("leaderboard")
        return cls(
            epoch=_whole(given.get("epoch")),
            epochs=_whole(given.get("epochs")),
            step=_whole(given.get("step")),
            steps=_whole(given.get("steps")),
            loss=_number(given.get("loss")),
            accuracy=_number(given.get("accuracy")),
            images_per_second=_number(given.get("images_per_second")),
            texts_per_second=_number(given.get("texts_per_second")),
            seconds_left=_number(given.get("seconds_left")),
            validation_loss=_number(given.get("validation_loss")),
            validation_accuracy=_number(given.get("validation_accuracy")),
            strength=_number(given.get("strength")),
            train_loss=_number(given.get("train_loss")),
            train_accuracy=_number(given.get("train_accuracy")),
            curve=_rows(curve) if isinstance(curve, list) else None,
            leaderboard=_ranked(board) if isinstance(board, list) else None,
        )


@dataclass(frozen=True)
class ProgressEvent:
    """How far a phase is: `done` of `total` steps (0 of 0 when it has none to count)."""

    event: ClassVar[str] = "progress"

    phase: str
    done: int = 0
    total: int = 0
    message: str = ""
    metrics: RunningMetrics = field(default_factory=RunningMetrics)

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, **vars(self), "metrics": self.metrics.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        metrics = value_of(dict, data, "metrics")
        refuse_unknown_keys(metrics, RunningMetrics)
        return cls(
            phase=value_of(str, data, "phase"),
            done=value_of(int, data, "done"),
            total=value_of(int, data, "total"),
            message=value_of(str, data, "message"),
            metrics=RunningMetrics.from_json(metrics),
        )


@dataclass(frozen=True)
class CheckpointEvent:
    """The checkpoint folder now holds `files`, from which a later attempt can go on after `epoch`.

    The files of one event belong together: keep all of them, or those of the event before.
    """

    event: ClassVar[str] = "checkpoint"

    files: tuple[str, ...]
    epoch: int

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, "files": list(self.files), "epoch": self.epoch}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        return cls(files=tuple(map(str, value_of(list, data, "files"))), epoch=value_of(int, data, "epoch"))


@dataclass(frozen=True)
class ResultEvent:
    """A training has succeeded and its files are written, or (without a result) a machine is ready."""

    event: ClassVar[str] = "result"

    result: TrainingResult | None

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, "result": self.result.to_json() if self.result else {}}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        result = value_of(dict, data, "result")
        try:
            return cls(TrainingResult.from_json(result) if result else None)
        except TypeError as error:
            raise UnknownEvent(
                f"The trainer's result is incomplete or of another release: {error}."
            ) from error


@dataclass(frozen=True)
class FindingsEvent:
    """A second look at the data, after the result: `examples` names a file in the request's output folder.

    It is as the result's, with what is thought of each example (see `seen_examples`). `naive_accuracy`, 0…1, is about
    what a split would have claimed that draws each example on its own; None where that is the same.
    """

    event: ClassVar[str] = "findings"

    examples: str
    naive_accuracy: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, **vars(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        return cls(value_of(str, data, "examples"), _number(data.get("naive_accuracy")))


@dataclass(frozen=True)
class FailureEvent(Failure):
    """The end of a training that failed, or of the look at its data; `message` is for whoever `kind` names."""

    KINDS: ClassVar[tuple[str, ...]] = get_args(FailureKind)

    kind: FailureKind


Event = ProgressEvent | CheckpointEvent | ResultEvent | FindingsEvent | FailureEvent
EVENTS: dict[str, type[Event]] = {
    kind.event: kind for kind in (ProgressEvent, CheckpointEvent, ResultEvent, FindingsEvent, FailureEvent)
}


def event_from_json(data: object) -> Event:
    """Read what an event's `to_json` made. Raises `UnknownEvent`, also for a key too many, too few or mistyped."""
    return read_event(data, EVENTS)


class Progress:
    """Passes progress on at a bearable rate, measures the phases, and raises when asked to stop."""

    def __init__(self, report: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
        self._report = report
        self._should_stop = should_stop
        self._phase = ""
        self._began = 0.0
        self._told = 0.0
        self.phase_seconds: dict[str, float] = {}

    def enter(self, phase: str, message: str, total: int = 0) -> None:
        """Begin a phase; the one before it ends."""
        self.leave()
        self._phase, self._began, self._told = phase, time.monotonic(), 0.0
        self.tell(0, total, message)

    def leave(self) -> None:
        """End the phase that runs, if one does."""
        if self._phase:
            spent = self.phase_seconds.get(self._phase, 0.0) + time.monotonic() - self._began
            self.phase_seconds[self._phase] = round(spent, 3)
        self._phase = ""

    def tell(
        self, done: int = 0, total: int = 0, message: str = "", metrics: RunningMetrics | None = None
    ) -> None:
        """Report how far the phase is, unless that was done just now. Raises `TrainingStopped`."""
        self.check()
        if self.is_due() or (total and done >= total):
            self._told = time.monotonic()
            self._report(ProgressEvent(self._phase, done, total, message, metrics or RunningMetrics()))

    def is_due(self) -> bool:
        """Say whether `tell` would report now, for figures that cost something to find."""
        return time.monotonic() - self._told >= NEWS_EVERY

    def checkpoint(self, files: tuple[str, ...], epoch: int) -> None:
        """Report a checkpoint that is whole on disk."""
        self._report(CheckpointEvent(files, epoch))

    def check(self) -> None:
        """Raise `TrainingStopped` when somebody asked for it."""
        if self._should_stop():
            raise TrainingStopped("The training was stopped.")


def _rows(curve: list[object]) -> tuple[EpochMetrics, ...]:
    return tuple(EpochMetrics.from_json(row) for row in curve if isinstance(row, Mapping))


def _ranked(board: list[object]) -> tuple[RankedAnswer, ...]:
    return tuple(RankedAnswer.from_json(row) for row in board if isinstance(row, Mapping))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None
