"""Threads that take tasks, the one that became idle last before all others.

What it needs lies in the processor's caches still, and no other wakes: a queue that all of them wait for wakes one
thread more than it has tasks, and each that wakes asks for Python's lock.
"""

import threading
from collections import deque
from collections.abc import Callable

Task = Callable[[], None]


class ThreadPool:
    """`size` daemon threads, which live as long as the process. Safe to use from many threads."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()  # of both
        self._idle: list[_Idle] = []
        self._waiting: deque[Task] = deque()
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()

    def put(self, task: Task) -> None:
        """Let a thread do a task, which raises nothing; the first that is free when all are busy."""
        with self._lock:
            if not self._idle:
                self._waiting.append(task)
                return
            thread = self._idle.pop()
        thread.task = task
        thread.door.release()

    def _work(self) -> None:
        thread = _Idle()
        while True:
            self._next(thread)()

    def _next(self, thread: "_Idle") -> Task:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(thread)
        thread.door.acquire()  # opened by who brings a task
        return thread.task


class _Idle:
    """A thread that waits at its door, and what it is to do when that opens."""

    task: Task

    def __init__(self) -> None:
        self.door = threading.Lock()
        self.door.acquire()
