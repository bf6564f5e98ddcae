"""Threads that take tasks: few at a time while tasks are short, all of them when some take long.

More threads at work than cores only push each other from their caches, and each that wakes asks for Python's lock. So
a task waits while enough others are being done briskly, and no longer than those stay brisk: one that computes for
long, or waits for a database or a bucket, does not count. Of the idle threads the one that became so last takes the
next task: what it needs lies in the processor's caches still.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

Task = Callable[[], None]

BRISK_SECONDS = 0.03  # for which a task counts, from its begin


class ThreadPool:
    """`size` daemon threads, which live as long as the process. Safe to use from many threads.

    `at_once` of them begin tasks one after the other; another joins when all these have been at one for long.
    """

    def __init__(self, size: int, *, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()  # of all three
        self._idle: list[_Thread] = []
        self._busy: set[_Thread] = set()
        self._waiting: deque[Task] = deque()
        self._tasks_wait = threading.Event()
        for _ in range(size):
            threading.Thread(target=self._work, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def put(self, task: Task) -> None:
        """Let a thread do a task, which raises nothing."""
        with self._lock:
            self._waiting.append(task)
            self._begin_waiting()
            if self._waiting:
                self._tasks_wait.set()

    def _begin_waiting(self) -> None:
        """Give waiting tasks to idle threads, as far as these may begin; the lock is held."""
        while self._waiting and self._idle and self._has_place():
            thread = self._idle.pop()
            self._assign(thread)
            thread.door.release()

    def _has_place(self) -> bool:
        since = time.monotonic() - BRISK_SECONDS
        return sum(thread.began > since for thread in self._busy) < self._at_once

    def _assign(self, thread: "_Thread") -> None:
        thread.task, thread.began = self._waiting.popleft(), time.monotonic()
        self._busy.add(thread)

    def _work(self) -> None:
        thread = _Thread()
        while True:
            self._next(thread)()

    def _next(self, thread: "_Thread") -> Task:
        with self._lock:
            self._busy.discard(thread)
            if self._waiting and self._has_place():
                self._assign(thread)
                return thread.task
            self._idle.append(thread)
            if self._waiting:
                self._tasks_wait.set()
        thread.door.acquire()  # opened by who brings a task
        return thread.task

    def _watch(self) -> None:
        """Let a thread join when those at work have been at their tasks for long."""
        while True:
            self._tasks_wait.wait()
            time.sleep(BRISK_SECONDS)
            with self._lock:
                self._begin_waiting()
                if not (self._waiting and self._idle):
                    self._tasks_wait.clear()


class _Thread:
    """A thread that waits at its door, what it is to do when that opens, and since when it does so."""

    task: Task
    began: float

    def __init__(self) -> None:
        self.door = threading.Lock()
        self.door.acquire()
