"""Routing of jobs: to the queue `gpu` if a worker serves it and the strategy gains from a GPU, else to `cpu`."""

import structlog

from work.queue import announce_waiting

from ..engine.specs.strategies import STRATEGIES
from .models import TrainingJob
from .selectors import a_worker_is_alive

logger = structlog.get_logger(__name__)

CPU, GPU = "cpu", "gpu"
WORTH_A_GPU = [spec.name for spec in STRATEGIES.values() if spec.trains_network]


def route(strategy: str) -> str:
    """Return the queue for a job: the GPU's when a worker serves it and the strategy pays for it."""
    return GPU if strategy in WORTH_A_GPU and a_worker_is_alive(GPU) else CPU


def route_queued_jobs() -> int:
    """Move queued jobs to where they would be sent now; returns how many moved."""
    queued, best = TrainingJob.objects.filter(state=TrainingJob.State.QUEUED), route(WORTH_A_GPU[0])
    moved = queued.filter(strategy__in=WORTH_A_GPU).exclude(queue=best).update(queue=best, announced_at=None)
    if moved:
        logger.info("jobs.rerouted", queue=best, jobs=moved)
        announce_waiting(TrainingJob)
    return moved
