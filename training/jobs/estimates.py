"""About how long a training takes, before it is asked for: so that a preset can say so. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ..engine.specs.strategies import STRATEGIES, Cost

LEAST, MOST = 0.05, 20.0  # times what is measured: a machine outside of that has other reasons


@dataclass(frozen=True)
class Ended:
    """A training that succeeded here."""

    task_type: str
    strategy: str
    examples: int
    seconds: float


def expected_seconds(
    task_type: str, strategy: str, examples: int, ended: Iterable[Ended] = ()
) -> float | None:
    """Return about how many seconds a training takes; None for a strategy that was never measured.

    What trainings of the same kind took here says how fast this machine is; those of another kind
    say it where there is none.
    """
    cost = _cost(task_type, strategy)
    if cost is None:
        return None
    alike: list[float] = []
    others: list[float] = []
    for job in ended:
        measured = _cost(job.task_type, job.strategy)
        if measured is None or job.seconds <= 0:
            continue
        ratio = job.seconds / measured.seconds(job.examples)
        (alike if (job.task_type, job.strategy) == (task_type, strategy) else others).append(ratio)
    pace = median(alike or others or [1.0])
    return cost.seconds(examples) * min(MOST, max(LEAST, pace))


def _cost(task_type: str, strategy: str) -> Cost | None:
    spec = STRATEGIES.get(strategy)
    return spec.cost.get(task_type) if spec else None


def in_words(seconds: float) -> str:
    """Return a span as people guess it: "about 10 seconds", "about 3 minutes"."""
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size:
            count = round(seconds / size)
            return f"about {count} {unit}s" if count > 1 else f"about 1 {unit}"
    rounded = max(5, 5 * round(seconds / 5))
    return "about 1 minute" if rounded >= 60 else f"about {rounded} seconds"
