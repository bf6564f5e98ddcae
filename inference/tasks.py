"""What travels through the broker: hints that carry a batch's id. The database knows the rest."""

from celery import Task, signals
from django.dispatch import receiver

from core.queue.app import app
from core.queue.consumer import broker_connected
from inference.batches.services import RUN_BATCH


@app.task(bind=True, name=RUN_BATCH, ignore_result=True)
def run_batch(self: Task, batch_id: int) -> None:
    """Run the batch whose turn it is; a message that came twice finds nothing to do."""
    from django.conf import settings

    from inference.batches import attempts, transitions

    if attempts.worker_stops.is_set():
        return  # reconcile announces it again
    batch = transitions.claim_next(worker=str(self.request.hostname), lease=settings.TRAINYARD["LEASE"])
    if batch is not None:
        attempts.run_batch(batch)


@signals.worker_shutting_down.connect
def worker_is_asked_to_end(**_: object) -> None:
    """Let a running batch go back to the queue after its present portion."""
    from inference.batches.attempts import worker_stops

    worker_stops.set()


@receiver(broker_connected)
def announce_batches(**_: object) -> None:
    """Batches that were sent while the broker was away need not wait for the next reconcile."""
    from inference.batches.services import announce_head

    announce_head()
