"""Whether this worker process was asked to end: work then goes back to the queue, for another to do."""

import threading

from celery import signals

worker_stops = threading.Event()


@signals.worker_shutting_down.connect
def worker_is_asked_to_end(**_: object) -> None:
    """Tell the work that is under way."""
    worker_stops.set()
