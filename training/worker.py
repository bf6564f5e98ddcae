"""What a worker process does beside running jobs: warm up, show that it lives, reconcile."""

import threading
import time
from datetime import timedelta
from typing import Any

import structlog
from celery import signals
from django.conf import settings
from django.db import connection
from django.utils import timezone
from gunicorn.systemd import sd_notify

from .models import WorkerHeartbeat

logger = structlog.get_logger(__name__)

BEAT = timedelta(seconds=5)
TRAINING_QUEUES = frozenset({"cpu", "gpu"})


class WorkerLife:
    """The threads of a worker that is up."""

    def __init__(self, name: str, queues: list[str], slots: int) -> None:
        self.name = name
        self.queues = queues
        self.slots = slots
        self._done = threading.Event()

    def start(self) -> None:
        """Begin to warm up and to beat; returns at once."""
        trains = not TRAINING_QUEUES.isdisjoint(self.queues)
        for work in (*([self._warm_up] if trains else []), self._beat, self._reconcile):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
        if not trains:
            tell_ready()

    def stop(self) -> None:
        """Sign off."""
        self._done.set()
        WorkerHeartbeat.objects.filter(name=self.name).delete()

    def _warm_up(self) -> None:
        """Start the trainers' forkserver and prepare the backbones, so that the first job need not."""
        from .trainers.process import warm_up

        began = time.monotonic()
        try:
            warm_up(str(settings.HOME / "backbones"))
        except Exception as error:  # the first job will try again and report it to its owner
            logger.warning("worker.warm_up_failed", error=repr(error))
            tell_ready()
            return
        try:
            WorkerHeartbeat.objects.filter(name=self.name).update(ready=True)
        finally:
            connection.close()
        logger.info("worker.warm", seconds=round(time.monotonic() - began, 1))
        tell_ready()

    def _beat(self) -> None:
        started_at = timezone.now()
        while not self._done.is_set():
            try:
                known = {"queues": self.queues, "slots": self.slots, "started_at": started_at}
                if TRAINING_QUEUES.isdisjoint(self.queues):
                    known["ready"] = True  # there is nothing to prepare
                WorkerHeartbeat.objects.update_or_create(
                    name=self.name, defaults={**known, "seen_at": timezone.now()}
                )
            except Exception as error:  # the database is away: the next beat tries again
                logger.warning("worker.beat_failed", error=repr(error))
            finally:
                connection.close()
            self._done.wait(BEAT.total_seconds())

    def _reconcile(self) -> None:
        """Reconcile from a thread of its own: taking in a large document must not look like a death."""
        from .reconcile import reconcile

        while not self._done.is_set():
            try:
                reconcile()
            except Exception as error:  # database or bucket away: the next round tries again
                logger.warning("worker.reconcile_failed", error=repr(error))
            finally:
                connection.close()
            self._done.wait(settings.TRAINYARD["RECONCILE_EVERY"].total_seconds())


def tell_ready() -> None:
    """Tell systemd, or our own launcher, that this process does its work from now on."""
    sd_notify("READY=1", logger, unset_environment=True)


_life: WorkerLife | None = None


@signals.worker_ready.connect
def worker_is_ready(sender: Any, **_: Any) -> None:
    """The worker consumes messages from now on."""
    global _life
    queues = [str(queue) for queue in sender.app.amqp.queues.consume_from]
    _life = WorkerLife(str(sender.hostname), queues, slots=sender.controller.concurrency)
    _life.start()


@signals.worker_shutting_down.connect
def worker_is_asked_to_end(**_: Any) -> None:
    """Let running jobs go back to the queue: training to the end may take hours, which nobody waits for."""
    from .attempts import worker_stops

    worker_stops.set()


@signals.worker_shutdown.connect
def worker_shuts_down(**_: Any) -> None:
    """The worker was asked to end."""
    if _life is not None:
        _life.stop()
