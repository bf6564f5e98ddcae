"""End what takes too long: one thread watches all deadlines of a process.

A timer thread for each run would cost more than some runs do, and so would waking this one for each:
it looks at the deadlines several times a second while there are any, and sleeps only after a while
without, so that entering and leaving a limit costs a microsecond.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Self

TICK = 0.1  # seconds between two looks, by which an end can be late
PATIENCE = 3  # how many times as long what waits for a core may take
LINGER = 100  # looks at nothing before the thread sleeps


class TimeLimit:
    """A context manager that calls `stop` when its block takes longer than it may; `is_over` tells afterwards.

    It may take `seconds` of a core, which a busy machine may need `PATIENCE` times as many seconds for.
    """

    def __init__(self, watchdog: "Watchdog", seconds: float, stop: Callable[[], object]) -> None:
        self.is_over = False
        self._seconds = seconds
        self._watchdog = watchdog
        self._stop = stop

    def __enter__(self) -> Self:
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._cpu_before = time.thread_time()
        self._began = time.monotonic()
        self._watchdog.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.remove(self)

    def is_passed(self, now: float) -> bool:
        """Say whether the block has taken longer than it may. Asked by the watchdog."""
        took = now - self._began
        if took < self._seconds or took >= self._seconds * PATIENCE:
            return took >= self._seconds
        try:
            return time.clock_gettime(self._clock) - self._cpu_before >= self._seconds
        except OSError:  # the thread has ended
            return True

    def end(self) -> None:
        """Stop what runs in the block. Called once, by the watchdog."""
        self.is_over = True
        self._stop()


class Watchdog:
    """Watches the time limits of a process."""

    def __init__(self) -> None:
        self._limits: dict[int, TimeLimit] = {}  # its single operations are atomic
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_awake = False
        self._thread: threading.Thread | None = None

    def limit(self, seconds: float, stop: Callable[[], object]) -> TimeLimit:
        """Return a context manager that calls `stop`, from another thread, once its block has taken too long."""
        return TimeLimit(self, seconds, stop)

    def add(self, limit: TimeLimit) -> None:
        """Begin to watch a limit."""
        self._limits[id(limit)] = limit
        if not self._is_awake:
            self._wake_up()

    def remove(self, limit: TimeLimit) -> None:
        """Watch it no more."""
        self._limits.pop(id(limit), None)

    def _wake_up(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            self._is_awake = True
            self._wake.set()

    def _watch(self) -> None:
        idle = 0
        while True:
            idle = 0 if self._limits else idle + 1
            if idle > LINGER:
                self._sleep()
                idle = 0
            time.sleep(TICK)
            now = time.monotonic()
            for key, limit in self._limits.copy().items():
                if limit.is_passed(now) and self._limits.pop(key, None) is not None:
                    with contextlib.suppress(Exception):  # the others' limits are to be kept all the same
                        limit.end()

    def _sleep(self) -> None:
        """Wait until there is something to watch again."""
        with self._lock:
            if self._limits:
                return
            self._wake.clear()
            self._is_awake = False
        if self._limits:  # added before it could be seen that nobody is awake
            self._is_awake = True
            return
        self._wake.wait()


@lru_cache(maxsize=1)
def watchdog() -> Watchdog:
    """Return this process's watchdog."""
    return Watchdog()
