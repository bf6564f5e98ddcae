"""Estimates of a training's duration, for presets and the queue. Pure functions."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
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


class Estimates:
    """Estimated durations, scaled by those of recent trainings on this platform."""

    def __init__(self, ended: Iterable[Ended] = ()) -> None:
        self._ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
        for job in ended:
            cost = _cost(job.task_type, job.strategy)
            if cost is not None and not cost.is_budget and job.seconds > 0:
                self._ratios[job.task_type, job.strategy].append(job.seconds / cost.seconds(job.examples))

    def seconds(
        self, task_type: str, strategy: str, examples: int, *, budget_minutes: float | None = None
    ) -> float | None:
        """Return about how many seconds a training takes; None for a strategy that was never measured.

        A strategy with a budget takes that, its usual one unless another is given. Of others, what trainings of the
        same task and strategy took says how fast this machine is; where there is none, all the others do.
        """
        cost = _cost(task_type, strategy)
        if cost is None:
            return None
        if cost.is_budget:
            return 60 * budget_minutes if budget_minutes else cost.base
        alike = self._ratios.get((task_type, strategy)) or list(chain(*self._ratios.values())) or [1.0]
        return cost.seconds(examples) * min(MOST, max(LEAST, median(alike)))


def _cost(task_type: str, strategy: str) -> Cost | None:
    spec = STRATEGIES.get(strategy)
    return spec.cost.get(task_type) if spec else None
