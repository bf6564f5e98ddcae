"""Keeps a piece of work while its worker works on it."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, close_old_connections, connection

from core.exceptions import StaleAttempt, TrainyardError

from . import transitions
from .models import LeasedWork

logger = structlog.get_logger(__name__)

EVERY = 1.0  # seconds; progress reaches the database at most this often
SILENCE_ALLOWED = 600.0  # seconds without a word from the work before its lease is given up


class Interrupted(TrainyardError):
    """The work has to make room through no fault of its own; the message is shown meanwhile."""


class Heartbeat:
    """Renews the lease and carries progress to the row, from a thread of its own.

    It stops renewing once the work has not called `check` for `SILENCE_ALLOWED`: what hangs loses its lease.
    `interruption` says why the work should make room, or "".
    """

    def __init__(
        self, work: LeasedWork, *, lease: timedelta, interruption: Callable[[], str] = lambda: ""
    ) -> None:
        self._work = work
        self._lease = lease
        self._interruption = interruption
        self._lost = threading.Event()
        self._interrupted = ""
        self._done = threading.Event()
        self._news: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._heard_at = time.monotonic()
        name = f"heartbeat-{work._meta.model_name}-{work.pk}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def tell(self, **news: object) -> None:
        """Note fields of the row to write with the next renewal."""
        with self._lock:
            self._news.update(news)

    def check(self) -> None:
        """Call often. Raises `StaleAttempt` or `Interrupted` when the work should stop."""
        self._heard_at = time.monotonic()
        if self._lost.is_set():
            raise StaleAttempt(f"Attempt {self._work.attempt} has lost its lease.")
        if self._interrupted:
            raise Interrupted(self._interrupted)

    def _run(self) -> None:
        pause = min(EVERY, self._lease.total_seconds() / 6)
        try:
            while not self._done.wait(pause) and not self._lost.is_set():
                if time.monotonic() - self._heard_at > SILENCE_ALLOWED:
                    logger.warning("work.silent", kind=self._work._meta.model_name, work=self._work.pk)
                    self._lost.set()
                else:
                    self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        with self._lock:
            news, self._news = self._news, {}
        try:
            transitions.renew(self._work, lease=self._lease, **news)
            self._interrupted = self._interruption()
        except StaleAttempt:
            self._lost.set()
        except DatabaseError as error:  # away for less than the lease, it costs nothing
            logger.warning("work.database_away", work=self._work.pk, error=str(error))
            close_old_connections()
