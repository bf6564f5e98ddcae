"""Publish after a commit, as often as the document's size allows.

A small document is published before the request ends: who saves finds it in the bucket. A large one
takes seconds to write, and writing it again for every save would hold people up only to write nearly
the same bytes a hundred times. So it is left to a thread of this process, which rests after each write
for a few times as long as the write took, and then takes along all that has come.
"""

import atexit
import os
import threading
import time

import structlog
from django.db import connections

from .models import Document
from .publish import Outcome, publish

logger = structlog.get_logger(__name__)

LARGE = 4 * 2**20  # bytes of a document that no request waits for
REST = 3.0  # times as long as writing took
TURN = 5.0  # seconds that a request may publish while others write as well; then the thread continues
LAST_WORDS = 60.0  # seconds that a process which ends may take to publish what it has committed


def publish_soon(key: str) -> None:
    """Publish what this process has just committed: at once if that is cheap, else shortly."""
    _publisher(key).publish()


def finish(timeout: float = LAST_WORDS) -> None:
    """Publish without rest what waits for this process's threads; returns when they are done."""
    for publisher in list(_publishers.values()):
        publisher.finish(timeout)


class BackgroundPublisher:
    """Publishes one document, from the caller's thread or from one of its own."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._due = False
        self._rested_at = 0.0

    def publish(self) -> None:
        """Publish now if that is cheap, else wake the thread."""
        is_large = Document.objects.filter(key=self.key, size__gt=LARGE).exists()
        if is_large or publish(self.key, turn=TURN) is Outcome.UNFINISHED:
            self._wake()

    def finish(self, timeout: float) -> None:
        """Let the thread publish without rest, and wait for its end."""
        self._hurry.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        self._hurry.clear()

    def _wake(self) -> None:
        with self._lock:
            self._due = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"publish {self.key}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while self._is_due():
                self._hurry.wait(max(0.0, self._rested_at - time.monotonic()))
                began = time.monotonic()
                publish(self.key)
                self._rested_at = time.monotonic() + REST * (time.monotonic() - began)
        except BaseException:  # the changes wait for `manage.py reconcile`
            logger.exception("document.publish_crashed", document=self.key)
            self._is_due(at_all=False)
        finally:
            connections.close_all()

    def _is_due(self, *, at_all: bool = True) -> bool:
        """Tell whether there are changes since the last write; the thread ends if not."""
        with self._lock:
            due, self._due = self._due and at_all, False
            if not due:
                self._thread = None
            return due


_publishers: dict[str, BackgroundPublisher] = {}


def _publisher(key: str) -> BackgroundPublisher:
    return _publishers.setdefault(key, BackgroundPublisher(key))


atexit.register(finish)
os.register_at_fork(after_in_child=_publishers.clear)  # its threads are not those of its parent
