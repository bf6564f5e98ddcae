"""Which job a worker takes next.

A message only wakes a worker up. What it takes is the head of the queue as the table has it, so that
priorities hold, however old the messages are.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from models_registry.models import TaskType
from work.transitions import claim_next, refuse

from ..jobs.models import TrainingJob
from .resources import Shortage, needs_of, shortage_of, this_machine

logger = structlog.get_logger(__name__)

WAIT_FOR_ROOM = timedelta(minutes=1)


def take_next(queue: str, *, worker: str) -> TrainingJob | None:
    """Claim the first job of a queue that this machine has room for; None when there is none."""
    waiting = TrainingJob.objects.startable(timezone.now()).filter(queue=queue)
    waiting = waiting.select_related("dataset").defer("log_tail", "dataset__report")
    return claim_next(waiting, worker=worker, fits=_has_room)


def _has_room(job: TrainingJob) -> bool:
    """Tell whether this machine has room for a job; one that it has no room for is put off."""
    shortage = _shortage(job)
    if shortage is not None:
        _put_off(job, shortage)
    return shortage is None


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
    """Postpone a job until the machine may have room; fail one that it never will have room for."""
    logger.warning("job.no_room", job=job.pk, reason=shortage.words)
    if shortage.lasting:
        refuse(job, reason=shortage.words)
    else:
        TrainingJob.objects.queued().filter(pk=job.pk).update(
            not_before=timezone.now() + WAIT_FOR_ROOM,
            announced_at=None,
            message=shortage.words,
        )
