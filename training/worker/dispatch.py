"""Which job a worker takes next.

A message only wakes a worker up. What it takes is the head of the queue as the table has it, so that
priorities hold, however old the messages are.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from models_registry.models import TaskType

from ..jobs import transitions
from ..jobs.models import TrainingJob
from .resources import Shortage, needs_of, shortage_of, this_machine

logger = structlog.get_logger(__name__)

LOOKED_AT = 20  # jobs at the head of a queue, of which some may lack room
WAIT_FOR_ROOM = timedelta(minutes=1)


def take_next(queue: str, *, worker: str) -> TrainingJob | None:
    """Claim the first job of a queue that this machine has room for; None when there is none."""
    jobs = TrainingJob.objects.startable(timezone.now()).filter(queue=queue).select_related("dataset")
    for job in jobs.defer("log_tail", "dataset__report")[:LOOKED_AT]:
        shortage = _shortage(job)
        if shortage is not None:
            _put_off(job, shortage)
            continue
        claimed = transitions.claim(job.pk, worker=worker, lease=settings.TRAINYARD["LEASE"])
        if claimed is not None:
            return claimed
    return None


def _shortage(job: TrainingJob) -> Shortage | None:
    needs = needs_of(
        strategy=job.strategy,
        is_image=job.task_type == TaskType.IMAGE,
        dataset_bytes=job.dataset.size,
        examples=job.dataset.examples,
        batch_size=job.effective.batch_size,
    )
    return shortage_of(needs, this_machine(settings.HOME))


def _put_off(job: TrainingJob, shortage: Shortage) -> None:
    """Let a job wait for room; one that would wait for ever ends with what to do."""
    logger.warning("job.no_room", job=job.pk, reason=shortage.words)
    if shortage.lasting:
        transitions.refuse(job.pk, error=shortage.words)
    else:
        transitions.postpone(job.pk, until=timezone.now() + WAIT_FOR_ROOM, reason=shortage.words)
