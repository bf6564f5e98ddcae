"""What the shell commands share: how a job is described, and how it is watched until it ends."""

import sys
import time
from dataclasses import asdict

from django.core.management.base import CommandError, OutputWrapper

from models_registry.artifacts.model_metrics import Interval, TestSet

from ..jobs.models import TrainingJob
from ..jobs.selectors import a_worker_is_alive, position_in_queue, seconds
from ..pages.curves import facts_of

POLL = 0.2  # seconds
PATIENCE = 10.0  # seconds in the queue before the watcher asks whether anybody works
BAR = 24  # characters


def describe(job: TrainingJob) -> dict[str, object]:
    """Return what a script wants to know of a job.

    `seconds` is the time from acceptance to the end (or to now), of which `queued_seconds` were
    spent waiting for a worker.
    """
    progress = job.how_far
    return {
        "token": job.token,
        "job": job.pk,
        "state": job.state,
        "accuracy": job.registered_model.accuracy if job.registered_model else None,
        "accuracy_low": interval.low if (interval := _interval(job)) else None,
        "accuracy_high": interval.high if interval else None,
        "test": asdict(test) if (test := _test_set(job)) else None,
        "seconds": seconds(job.queued_for + job.running_for),
        "queued_seconds": seconds(job.queued_for),
        "phase": progress.phase or None,
        "message": progress.message,
        "metrics": progress.measured.to_json(),
        "phase_seconds": progress.phase_seconds or {},
        "attempt": job.attempt,
        "failures": job.failures,
        "error": job.error,
    }


def watch(job: TrainingJob, *, timeout: float, stdout: OutputWrapper, stderr: OutputWrapper) -> TrainingJob:
    """Return the job when it has ended; on a terminal its progress is drawn on one line.

    Raises `CommandError` after `timeout` seconds; the job goes on.
    """
    began, on_terminal, warned = time.monotonic(), sys.stderr.isatty(), False
    while not job.is_final:
        waited = time.monotonic() - began
        if waited > timeout:
            raise CommandError(
                f"Still {job.state} after {timeout:g} seconds; it goes on without this command."
            )
        if job.state == TrainingJob.State.QUEUED and waited > PATIENCE and not warned:
            warned = True
            if not a_worker_is_alive(job.queue):
                stderr.write("No worker is running. Start one: manage.py worker")
        if on_terminal:
            stderr.write(f"\r\x1b[2K{progress_line(job)}", ending="")
        time.sleep(POLL)
        job = TrainingJob.objects.select_related("registered_model").get(pk=job.pk)
    if on_terminal:
        stderr.write("\r\x1b[2K", ending="")
    if job.registered_model:
        accuracy, interval = job.registered_model.accuracy, _interval(job)
        stdout.write(
            f"Live after {seconds(job.queued_for + job.running_for)} s: {accuracy:.2f} % validation accuracy"
            f"{f' ({interval})' if interval else ''}."
        )
        if test := _test_set(job):
            stdout.write(f"{str(test).capitalize()}.")
    return job


def _test_set(job: TrainingJob) -> TestSet | None:
    return job.registered_model.test_set if job.registered_model else None


def _interval(job: TrainingJob) -> Interval | None:
    return job.registered_model.accuracy_interval if job.registered_model else None


def fail_unless_succeeded(job: TrainingJob) -> None:
    """Give a command that waited for a job the exit status that its end deserves."""
    if job.state in (TrainingJob.State.FAILED, TrainingJob.State.CANCELLED):
        raise CommandError(f"{job.name} {job.state}. {job.error}".strip())


def progress_line(job: TrainingJob) -> str:
    """Return one line that says how far a job is."""
    progress = job.how_far
    if job.state == TrainingJob.State.QUEUED:
        message = f". {progress.message}" if progress.message else ""
        return f"queued, number {position_in_queue(job)} in the queue{message}"
    phase, done, total = progress.phase, progress.done, progress.total
    if not done or not total:
        return f"{phase or job.state} {progress.message}".strip()
    filled = int(BAR * min(1, done / total))
    said = [f"{done}/{total}", *(f"{label.lower()} {value}" for label, value in facts_of(progress.measured))]
    return f"{phase:10} {'█' * filled}{'·' * (BAR - filled)} {', '.join(said)}"
