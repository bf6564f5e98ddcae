"""The expected start of a queued job, by simulating the queue. A pure function."""

import heapq
from collections.abc import Sequence


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
