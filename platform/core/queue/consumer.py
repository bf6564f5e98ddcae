"""A Celery consumer that waits for its broker without end, and a signal for the moment it is connected."""

import threading
import time
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from django.db import connection
from django.dispatch import Signal
from kombu.asynchronous.timer import Entry

logger = structlog.get_logger(__name__)

LOOKS_EVERY = 0.5  # seconds
SAYS_EVERY = 60.0  # seconds
SEES_SIGNALS_WITHIN = 0.5  # seconds

# Sent in a thread of its own whenever a worker begins to take messages: at its start, and after each outage. The
# broker may have lost every hint that it had, and missed others.
broker_connected = Signal()


class PatientConsumer(Consumer):
    """Tries to connect twice a second without end; Celery waits up to 30 s, and gives up after a hundred times."""

    hub: Any  # the event loop, where the transport has one

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._said_at = float("-inf")
        self._tick = Entry(lambda: None)

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once the broker answers. Raises `WorkerShutdown` when the worker is to end."""
        self._said_at = float("-inf")
        conn.ensure_connection(
            self._say,
            max_retries=None,
            interval_start=LOOKS_EVERY,
            interval_step=0,
            interval_max=LOOKS_EVERY,
            callback=maybe_shutdown,
        )
        self.first_connection_attempt = False
        return conn

    def on_ready(self) -> None:
        """Send `broker_connected`: the consumer receives messages from now on."""
        super().on_ready()
        if self.hub is not None:
            # A signal does not end a wait for RabbitMQ: without anything due, SIGTERM would be seen a minute later.
            self._tick.cancel()
            self._tick = self.hub.call_repeatedly(SEES_SIGNALS_WITHIN, lambda: None)
        threading.Thread(target=_tell_connected, name="broker-connected", daemon=True).start()

    def _say(self, error: Exception, interval: float) -> None:
        if time.monotonic() - self._said_at >= SAYS_EVERY:
            self._said_at = time.monotonic()
            logger.error("broker.away", broker=self.app.connection_for_read().as_uri(), error=str(error))


def _tell_connected() -> None:
    try:
        for receiver, result in broker_connected.send_robust(PatientConsumer):
            if isinstance(result, Exception):  # reconcile does the same a little later
                logger.warning("broker.receiver_failed", receiver=repr(receiver), error=repr(result))
    finally:
        connection.close()
