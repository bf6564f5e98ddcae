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
