"""A thread that renews a lease while work is in progress, for leased work and for the writer of a document."""

import threading
import time
from collections.abc import Callable
from typing import Self

import structlog
from django.db import DatabaseError, close_old_connections, connection

from .exceptions import StaleAttempt

logger = structlog.get_logger(__name__)


class LeaseRenewal:
    """Calls `renew` every so many seconds inside its `with` block, from a thread with a connection of its own.

    It ends, and sets `lost`, when `renew` raises `StaleAttempt`, or when nobody has called `heard` for
    `silence_allowed` seconds: the lease of work that hangs runs out. An error of the database is logged and
    tried again: an outage that is shorter than the lease costs nothing.
    """

    def __init__(self, renew: Callable[[], None], *, every: float, silence_allowed: float, name: str) -> None:
        self.lost = threading.Event()
        self._renew = renew
        self._every = every
        self._silence_allowed = silence_allowed
        self._done = threading.Event()
        self._heard_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._heard_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def heard(self) -> None:
        """Record that the work has made progress: restarts `silence_allowed`."""
        self._heard_at = time.monotonic()

    def _run(self) -> None:
        try:
            while not self._done.wait(self._every) and not self.lost.is_set():
                if time.monotonic() - self._heard_at > self._silence_allowed:
                    logger.warning("lease.silent", lease=self._thread.name)
                    self.lost.set()
                else:
                    self._renew_once()
        finally:
            connection.close()

    def _renew_once(self) -> None:
        try:
            self._renew()
        except StaleAttempt:
            self.lost.set()
        except DatabaseError as error:
            logger.warning("lease.database_away", lease=self._thread.name, error=str(error))
            close_old_connections()
