"""The threads of a worker process beside its jobs: warm-up, sign of life, periodic tasks."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from celery import signals
from django.conf import settings
from django.db import connection
from django.utils import timezone
from gunicorn.systemd import sd_notify

from core.periodic import Runner, describe

from ..jobs.models import WorkerHeartbeat

logger = structlog.get_logger(__name__)

BEAT = timedelta(seconds=5)
TICK = timedelta(seconds=0.5)  # between two looks whether a periodic task is due
TRAINING_QUEUES = frozenset({"cpu", "gpu"})


class WorkerLife:
    """The threads of a worker that is up."""

    def __init__(self, name: str, queues: list[str], slots: int) -> None:
        self.name = name
        self.queues = queues
        self.slots = slots
        self._started_at = timezone.now()
        self._runner = Runner()
        self._alive: set[str] = set()
        self._lock = threading.Lock()
        self._done = threading.Event()

    def start(self) -> None:
        """Start the threads; returns at once."""
        if TRAINING_QUEUES.isdisjoint(self.queues):
            tell_ready()
        else:
            threading.Thread(target=self._warm_up, name="warm_up", daemon=True).start()
        self._supervise()

    def stop(self) -> None:
        """End the threads and delete the worker's row."""
        self._done.set()
        WorkerHeartbeat.objects.filter(name=self.name).delete()

    def _supervise(self) -> None:
        """Start the threads, and restart one that has died."""
        with self._lock:
            for work, every in ((self._beat, BEAT), (self._run_periodic_tasks, TICK)):
                name = work.__name__.strip("_")
                if name not in self._alive:
                    thread = threading.Thread(
                        target=self._live, args=(name, work, every), name=name, daemon=True
                    )
                    self._alive.add(name)
                    try:
                        thread.start()
                    except BaseException:
                        self._alive.discard(name)
                        raise

    def _live(self, name: str, work: Callable[[], None], every: timedelta) -> None:
        try:
            self._repeat(work, every)
        finally:
            self._alive.discard(name)  # at once: the other thread looks all the time
            if not self._done.is_set():
                logger.error("worker.thread_died", thread=name)

    def _repeat(self, work: Callable[[], None], every: timedelta) -> None:
        """Call a function repeatedly until the worker ends; its errors are logged. Each thread restarts the other."""
        while not self._done.is_set():
            try:
                self._supervise()
                work()
            except BaseException as error:  # the database is away, or memory; this thread must not end
                logger.warning("worker.thread_failed", thread=work.__name__, error=describe(error))
            finally:
                connection.close()
            self._done.wait(every.total_seconds())

    def _warm_up(self) -> None:
        """Start the trainers' forkserver and prepare the backbones, so that the first job need not."""
        from ..engine.process import warm_up

        began = time.monotonic()
        try:
            warm_up(str(settings.HOME / "backbones"))
        except BaseException as error:  # the first job will try again and report it to its owner
            logger.warning("worker.warm_up_failed", error=describe(error))
            tell_ready()
            return
        try:
            WorkerHeartbeat.objects.filter(name=self.name).update(ready=True)
        finally:
            connection.close()
        logger.info("worker.warm", seconds=round(time.monotonic() - began, 1))
        tell_ready()

    def _beat(self) -> None:
        known = {"queues": self.queues, "slots": self.slots, "started_at": self._started_at}
        if TRAINING_QUEUES.isdisjoint(self.queues):
            known["ready"] = True  # there is nothing to prepare
        WorkerHeartbeat.objects.update_or_create(
            name=self.name, defaults={**known, "seen_at": timezone.now()}
        )

    def _run_periodic_tasks(self) -> None:
        """Run the due periodic tasks in a thread of its own, so that a slow one does not delay the heartbeat."""
        self._runner.run_due(stop=self._done.is_set)


def tell_ready() -> None:
    """Tell systemd, or our own launcher, that this process does its work from now on."""
    sd_notify("READY=1", logger, unset_environment=True)


_life: WorkerLife | None = None


@signals.worker_ready.connect
def worker_is_ready(sender: Any, **_: object) -> None:
    """Start the threads once the worker consumes messages."""
    global _life
    queues = [str(queue) for queue in sender.app.amqp.queues.consume_from]
    _life = WorkerLife(str(sender.hostname), queues, slots=sender.controller.concurrency)
    _life.start()


@signals.worker_shutdown.connect
def worker_shuts_down(**_: object) -> None:
    """End the threads when the worker is asked to end."""
    if _life is not None:
        _life.stop()
