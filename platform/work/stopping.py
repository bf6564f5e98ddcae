"""Whether this worker process was asked to end; its work then goes back to the queue."""

import threading

from celery import signals

worker_stops = threading.Event()


@signals.worker_shutting_down.connect
def worker_is_asked_to_end(**_: object) -> None:
    """Set `worker_stops`, at which heartbeats interrupt the running work."""
    worker_stops.set()
