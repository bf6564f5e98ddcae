"""What travels through the broker: hints that carry an id. The database knows the rest."""

from datetime import timedelta

from celery import Task
from django.dispatch import receiver

from control.selectors import is_halted
from core.queue.app import app
from core.queue.consumer import broker_connected

from .task_names import RUN_TRAINING_JOB, VALIDATE_DATASET
from .worker import lifecycle  # noqa: F401 - its signal handlers belong to every process that runs these tasks


@app.task(bind=True, name=RUN_TRAINING_JOB, ignore_result=True)
def run_training_job(self: Task, job_id: int) -> None:
    """Run the job that is due in the queue of this message; one that came twice finds nothing to do."""
    from .jobs.models import TrainingJob
    from .worker.attempt import run_attempt, worker_stops
    from .worker.dispatch import take_next

    if is_halted() or worker_stops.is_set():
        # The message ends here: the job has to be announced again.
        TrainingJob.objects.filter(pk=job_id).update(announced_at=None)
        return
    queue = (self.request.delivery_info or {}).get("routing_key")
    queue = queue or TrainingJob.objects.values_list("queue", flat=True).filter(pk=job_id).first() or "cpu"
    job = take_next(queue, worker=str(self.request.hostname))
    if job is not None:
        run_attempt(job)


@app.task(bind=True, name=VALIDATE_DATASET, ignore_result=True)
def validate_dataset(self: Task, validation_id: int) -> None:
    """Validate the data set whose turn it is; a message that came twice finds nothing to do."""
    from work.stopping import worker_stops

    from .datasets.attempts import claim_next, run_validation

    if worker_stops.is_set():
        return  # reconcile announces it again
    validation = claim_next(worker=str(self.request.hostname))
    if validation is not None:
        run_validation(validation)


@receiver(broker_connected)
def announce_jobs(**_: object) -> None:
    """What was sent while the broker was away need not wait for the next reconcile."""
    from .datasets.reconcile import announce_validations
    from .jobs.services import announce_head

    announce_head()
    announce_validations(unheard_for=timedelta())
