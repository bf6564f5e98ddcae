"""A job's progress as the steps that its page draws; plain functions of plain data."""

from dataclasses import dataclass

from ..engine.specs.phases import ALL_PHASES, PHASES, Phase
from ..engine.specs.strategies import FROZEN, STRATEGIES
from .progress import JobProgress

# What the worker writes that is no phase of its own.
STANDS_FOR = {"claimed": "fetch", "done": "publish"}


@dataclass(frozen=True)
class Step:
    """One phase: `state` is done, current, failed or ahead; `done`/`total` count what it works on."""

    name: str
    title: str
    words: str
    state: str
    done: int | None = None
    total: int | None = None
    message: str = ""
    seconds: float | None = None

    @property
    def counts(self) -> bool:
        """Whether there is something to count."""
        return bool(self.total) and self.done is not None


def current_phase(state: str, progress: JobProgress) -> str:
    """Return the phase that a job is in, or was in when it ended."""
    if state == "queued":
        return "queued"
    if state == "succeeded":
        return "publish"
    phase = STANDS_FOR.get(progress.phase, progress.phase or "queued")
    return phase if phase in PHASES else "fetch"


def steps_of(state: str, progress: JobProgress, strategy: str = FROZEN) -> list[Step]:
    """Return every phase of a strategy with how far it is."""
    current = current_phase(state, progress)
    usual = STRATEGIES[strategy].all_phases if strategy in STRATEGIES else ALL_PHASES
    phases = [phase for phase in ALL_PHASES if phase.name == current or phase in usual]
    at = phases.index(PHASES[current])
    spent = progress.phase_seconds or {}
    return [
        _step(phase, index - at, state, progress, spent.get(phase.name)) for index, phase in enumerate(phases)
    ]


def progress_in_words(state: str, progress: JobProgress) -> str:
    """Return what a job is doing (or was, when it ended) and how far it is, in a few words."""
    name = current_phase(state, progress)
    title = PHASES[name].title
    metrics = progress.measured
    if name == "train" and metrics.epoch and metrics.epochs:
        return f"{title}, epoch {metrics.epoch} of {metrics.epochs}"
    done, total = progress.done, progress.total
    return f"{title}, {done:,} of {total:,}" if total and done is not None else title


def where_it_goes_on(progress: JobProgress) -> str:
    """Return where a job that was interrupted takes up again, as the end of a sentence; "" when nowhere."""
    epoch, epochs = progress.checkpoint_epoch, progress.measured.epochs
    if not epoch:
        return ""  # what was kept is no epoch yet, but what the network saw in the examples
    return f" at epoch {epoch} of {epochs}" if epochs else f" after epoch {epoch}"


def _step(phase: Phase, ahead: int, state: str, progress: JobProgress, seconds: float | None) -> Step:
    """Describe a phase that is so many places ahead of the current one."""
    name, title, words = phase.name, phase.title, phase.words
    if ahead < 0 or state == "succeeded":
        return Step(name, title, words, "done", seconds=seconds)
    if ahead > 0:
        return Step(name, title, words, "ahead")
    if state in ("failed", "cancelled"):
        return Step(name, title, words, "failed")
    return Step(
        name,
        title,
        words,
        "current",
        done=progress.done,
        total=progress.total,
        message=progress.message,
    )
