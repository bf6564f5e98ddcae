"""What travels through the broker: hints that carry an id. The database knows the rest."""

from celery import Task, shared_task

from control.selectors import is_halted

from . import worker  # noqa: F401 - its signal handlers belong to every process that runs these tasks
from .task_names import RUN_TRAINING_JOB


@shared_task(bind=True, name=RUN_TRAINING_JOB, ignore_result=True)
def run_training_job(self: Task, job_id: int) -> None:
    """Run a job, if it still waits for somebody; a message that came twice finds nothing to do."""
    from django.conf import settings

    from . import transitions
    from .attempts import run_attempt, worker_stops
    from .models import TrainingJob

    if is_halted():
        return
    if worker_stops.is_set():
        TrainingJob.objects.filter(pk=job_id).update(announced_at=None)  # the message ends here; send another
        return
    job = transitions.claim(job_id, worker=str(self.request.hostname), lease=settings.TRAINYARD["LEASE"])
    if job is not None:
        run_attempt(job)
