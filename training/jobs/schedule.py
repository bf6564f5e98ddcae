"""When a queued job will start: the queue played through with what like jobs took. Pure functions."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Kind:
    """What decides how long a job takes, as far as one can tell beforehand."""

    task_type: str
    architecture: str
    strategy: str


class Durations:
    """What jobs took lately, in seconds; knows more the more jobs have ended."""

    def __init__(self, ended: Iterable[tuple[Kind, float]]) -> None:
        self._alike: dict[object, list[float]] = defaultdict(list)
        for kind, seconds in ended:
            for likeness in self._likenesses(kind):
                self._alike[likeness].append(seconds)

    def of(self, kind: Kind) -> float | None:
        """Return the median of jobs of this kind, of its task and strategy, or of all; None without any."""
        for likeness in self._likenesses(kind):
            if likeness in self._alike:
                return median(self._alike[likeness])
        return None

    @staticmethod
    def _likenesses(kind: Kind) -> tuple[object, ...]:
        return kind, (kind.task_type, kind.strategy), None


def seconds_until_start(*, slots: int, running: Sequence[float], ahead: Sequence[float]) -> float:
    """Return the seconds until a job starts: `running` have so many left, those `ahead` will take so many.

    Each slot takes the next job when it is free. `slots` is 1 at least.
    """
    # More jobs may run than there are slots, on workers that were taken away meanwhile: the longest count.
    busy = sorted((max(0.0, left) for left in running), reverse=True)[:slots]
    free_at = [*busy, *[0.0] * (slots - len(busy))]
    heapq.heapify(free_at)
    for seconds in ahead:
        heapq.heapreplace(free_at, free_at[0] + max(0.0, seconds))
    return free_at[0]
