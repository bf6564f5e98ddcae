"""Celery tasks: messages carry a batch's id only."""

from celery import Task

from core.queue.app import app

from .batches.models import RUN_BATCH


@app.task(bind=True, name=RUN_BATCH, ignore_result=True)
def run_batch(self: Task, batch_id: int) -> None:
    """Run the next batch of the queue."""
    from work.attempt import run_next

    from .batches.attempts import BatchAttempt

    run_next(BatchAttempt, batch_id, self.request)
