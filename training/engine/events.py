"""What a training tells while it runs, and how it is told to stop. Knows no torch."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

NEWS_EVERY = 0.2  # seconds; more often nobody can read


class TrainingError(ValueError):
    """The training cannot succeed with this data or these settings; the message is for the user."""


class TrainingStopped(Exception):
    """Somebody asked the training to stop."""


@dataclass(frozen=True)
class ProgressEvent:
    """How far a phase is: `done` of `total` steps (0 of 0 when it has none to count)."""

    kind: ClassVar[str] = "progress"

    phase: str
    done: int = 0
    total: int = 0
    message: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class CheckpointEvent:
    """The checkpoint folder now holds `files`, from which a later attempt can go on after `epoch`.

    The files of one event belong together: keep all of them, or those of the event before.
    """

    kind: ClassVar[str] = "checkpoint"

    files: tuple[str, ...]
    epoch: int

    def to_json(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return {"files": list(self.files), "epoch": self.epoch}


Event = ProgressEvent | CheckpointEvent


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
        self, done: int = 0, total: int = 0, message: str = "", metrics: dict[str, Any] | None = None
    ) -> None:
        """Report how far the phase is, unless that was done just now. Raises `TrainingStopped`."""
        self.check()
        if self.is_due() or (total and done >= total):
            self._told = time.monotonic()
            self._report(ProgressEvent(self._phase, done, total, message, metrics or {}))

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
