"""How far a job is: what its row keeps as JSON and pages, the REST API, the shell and the admin read.

Knows no Django.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from ..engine.events import ProgressEvent, RunningMetrics


@dataclass(frozen=True)
class JobProgress:
    """How far a job is, in its phase and in the training as a whole.

    `phase` is one of `phases.PHASES`, "claimed" or "done"; "" before the job was queued. `done` of `total` count
    what the phase works on. `checkpoint_epoch` is the last epoch that the bucket keeps, 0 for the features of some
    examples; `phase_seconds` is what each phase took, known when the job has succeeded. None is unknown.
    """

    phase: str = ""
    done: int | None = None
    total: int | None = None
    message: str = ""
    metrics: RunningMetrics | None = None
    checkpoint_epoch: int | None = None
    phase_seconds: Mapping[str, float] | None = None

    @classmethod
    def of_event(cls, event: ProgressEvent, checkpoint_epoch: int | None) -> Self:
        """Return the progress of a trainer's event, with the epoch of the checkpoint in the bucket."""
        return cls(event.phase, event.done, event.total, event.message, event.metrics, checkpoint_epoch)

    @property
    def measured(self) -> RunningMetrics:
        """Return the metrics, all unknown before there are any."""
        return self.metrics or RunningMetrics()

    def kept(self, phase: str, message: str = "") -> "JobProgress":
        """Return the progress in another phase with the same metrics and checkpoint."""
        return JobProgress(
            phase, message=message, metrics=self.metrics, checkpoint_epoch=self.checkpoint_epoch
        )

    def without_curve(self) -> "JobProgress":
        """Return the progress without the figures of the epochs that are over."""
        return replace(self, metrics=replace(self.measured, curve=None))

    def with_checkpoint(self, epoch: int | None) -> "JobProgress":
        """Return the progress with the epoch that the bucket keeps now; None changes nothing."""
        return self if epoch is None else replace(self, checkpoint_epoch=epoch)

    def to_json(self) -> dict[str, object]:
        """Return what is known, as the row keeps it."""
        known = {name: value for name, value in vars(self).items() if value is not None and value != ""}
        if self.metrics is not None:
            known["metrics"] = self.metrics.to_json()
        if known.pop("checkpoint_epoch", None) is not None:
            known["checkpoint"] = {"epoch": self.checkpoint_epoch}
        return known

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a row, also one of an older release: what is missing or of another type is unknown.

        Unknown keys are ignored: a row must not keep its page from being shown.
        """
        given = data if isinstance(data, Mapping) else {}
        metrics, checkpoint, seconds = (
            given.get(name) for name in ("metrics", "checkpoint", "phase_seconds")
        )
        return cls(
            phase=_text(given.get("phase")),
            done=_count(given.get("done")),
            total=_count(given.get("total")),
            message=_text(given.get("message")),
            metrics=RunningMetrics.from_json(metrics) if isinstance(metrics, Mapping) else None,
            checkpoint_epoch=_count(checkpoint.get("epoch")) if isinstance(checkpoint, Mapping) else None,
            phase_seconds=_seconds(seconds) if isinstance(seconds, Mapping) else None,
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(phases: Mapping[object, object]) -> dict[str, float]:
    return {str(phase): value for phase, value in phases.items() if isinstance(value, int | float)}
