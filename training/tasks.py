"""What travels through the broker: hints that carry an id. The database knows the rest."""

from celery import Task

from core.queue.app import app

from .task_names import FETCH_NETWORK, RUN_TRAINING_JOB, VALIDATE_DATASET
from .worker import lifecycle  # noqa: F401 - its signal handlers belong to every process that runs these tasks


@app.task(bind=True, name=RUN_TRAINING_JOB, ignore_result=True)
def run_training_job(self: Task, job_id: int) -> None:
    """Run the job that is due in the queue of this message."""
    from work.attempt import run_next

    from .worker.attempt import TrainingAttempt

    run_next(TrainingAttempt, job_id, self.request)


@app.task(bind=True, name=VALIDATE_DATASET, ignore_result=True)
def validate_dataset(self: Task, validation_id: int) -> None:
    """Read the upload whose turn it is."""
    from work.attempt import run_next

    from .examples.attempts import UploadAttempt

    run_next(UploadAttempt, validation_id, self.request)


@app.task(bind=True, name=FETCH_NETWORK, ignore_result=True)
def fetch_network(self: Task, fetch_id: int) -> None:
    """Fetch the network whose turn it is."""
    from work.attempt import run_next

    from .networks.attempts import FetchAttempt

    run_next(FetchAttempt, fetch_id, self.request)
