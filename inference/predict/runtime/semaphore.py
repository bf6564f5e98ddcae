"""A FIFO semaphore: bounds the predictions that run at a time; the others wait in order of arrival.

More would not be faster: they would push each other's weights out of the processor's caches, and
all would be late instead of one after the other.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator


class TooManyWaiting(Exception):
    """The queue is full: one more waiting request would occupy a thread that others need."""


class FifoSemaphore:
    """A semaphore that serves in order of arrival, which `threading.Semaphore` does not guarantee.

    At most `most_waiting` wait; None for any number.
    """

    def __init__(self, slots: int, *, most_waiting: int | None = None) -> None:
        if slots < 1:
            raise ValueError(f"There have to be 1 or more slots, not {slots}.")
        self._free = slots
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def __len__(self) -> int:
        """Return the number of waiting callers."""
        with self._lock:
            return len(self._waiting)

    @contextlib.contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait for a slot and hold it for the block. Raises `TooManyWaiting` when too many wait already."""
        with self._lock:
            door = None
            if self._free and not self._waiting:
                self._free -= 1
            elif self._most_waiting is not None and len(self._waiting) >= self._most_waiting:
                raise TooManyWaiting
            else:
                door = threading.Lock()
                door.acquire()
                self._waiting.append(door)
        if door is not None:
            door.acquire()  # opened by who hands the slot over
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().release()
                else:
                    self._free += 1
