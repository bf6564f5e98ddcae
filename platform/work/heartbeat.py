"""The heartbeat: renews the lease of work, carries its progress to the row, and notices its cancellation."""

import contextlib
import threading
import time

from django.conf import settings
from django.db import DatabaseError

from control.selectors import is_halted
from core.exceptions import StaleAttempt, TrainyardError
from core.lease_renewal import LeaseRenewal

from . import transitions
from .models import LeasedWork, State
from .stopping import worker_stops

EVERY = 0.5  # seconds; progress reaches the database at most this often
SILENCE_ALLOWED = 600.0  # seconds without a sign of life of the work before its lease is given up


class Cancelled(TrainyardError):
    """The work was cancelled and has to end."""

    def __init__(self) -> None:
        super().__init__("It was cancelled.")


class Interrupted(TrainyardError):
    """The work has to go back to the queue through no fault of its own; the message is shown while it waits."""


class TurnOver(Interrupted):
    """The work has used its share of the worker's time while other work waits."""


class Heartbeat(LeaseRenewal):
    """Renews the lease and carries progress to the row, from a thread of its own.

    It stops renewing once the work has given no sign of life for `SILENCE_ALLOWED`: what hangs loses its lease.
    """

    def __init__(self, work: LeasedWork) -> None:
        self._work = work
        self._lease = settings.TRAINYARD["LEASE"].total_seconds()
        self._news: dict[str, object] = {}
        self._news_lock = threading.Lock()
        self._renewed_at = time.monotonic()
        self._cancelled = self._halted = False
        super().__init__(
            self._beat,
            every=min(EVERY, self._lease / 6),
            silence_allowed=SILENCE_ALLOWED,
            name=f"heartbeat-{work.noun()}-{work.pk}",
        )

    def tell(self, **news: object) -> None:
        """Set fields of the row, which are written with the next renewal; counts as progress."""
        self.heard()
        with self._news_lock:
            self._news.update(news)
            for name, value in news.items():
                setattr(self._work, name, value)

    def __exit__(self, *how: object) -> None:
        """End the thread and write the fields that are not written yet, unless the lease is lost."""
        super().__exit__(*how)
        if self._news:
            with contextlib.suppress(StaleAttempt, DatabaseError):
                transitions.renew(self._work, **self._news)

    def check(self) -> None:
        """Record progress. Raises `StaleAttempt`, `Cancelled` or `Interrupted` when the work has to stop."""
        self.heard()
        self.look()

    def look(self) -> None:
        """Raise as `check` does, without recording progress: for callers that wait for another process."""
        if self.lost.is_set():
            raise StaleAttempt(f"Attempt {self._work.attempt} has lost its lease.")
        if self._cancelled:
            raise Cancelled
        if self._halted:
            raise Interrupted("Suspended for maintenance")
        if worker_stops.is_set():
            raise Interrupted("Queued again because its worker was stopped")

    def _beat(self) -> None:
        """Renew the lease if fields wait or a third of it is over; read the row's state in any case."""
        with self._news_lock:
            news, self._news = self._news, {}
        if news or time.monotonic() - self._renewed_at > self._lease / 3:
            transitions.renew(self._work, **news)
            self._renewed_at = time.monotonic()
        self._cancelled = transitions.state_of(self._work) == State.CANCELLING
        self._halted = is_halted()
