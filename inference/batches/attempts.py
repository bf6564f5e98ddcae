"""One attempt at a batch, from claim to result, in a worker.

The work is done in portions. The lines of each go to the bucket before the row counts them, so that
whoever comes after a dead worker goes on from the row's count.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from bucket.base import Missing
from bucket.factory import get_bucket
from bucket.files import WrongFile, download
from control.selectors import is_halted
from core.exceptions import BucketError, InvalidRequest, LimitExceeded, MaintenanceMode, StaleAttempt
from models_registry.artifacts import InvalidModel, Prediction
from models_registry.inputs import DataError
from models_registry.models import TaskType
from work.queue import waits_in

from ..predict.lookup import find_served_model
from ..predict.services import broken_limits_noted, load_served
from ..usage.statistics import usage_recorder
from . import transitions
from .files import folder_of, part_key, parts_of, source_key, tidy
from .limits import limits
from .models import Batch
from .results import classify, heading, write_lines
from .services import QUEUE, announce
from .sources import Item, Source, open_source

logger = structlog.get_logger(__name__)

worker_stops = threading.Event()  # set when this worker process was asked to end
LOOK_EVERY = 0.5  # seconds
SILENCE_ALLOWED = 600.0  # seconds without a word from the work before the lease is given up


class Cancelled(Exception):
    """Its owner cancelled the batch."""


class Interrupted(Exception):
    """The batch has to make room through no fault of its own; the message is shown meanwhile."""


class Watch:
    """Keeps the lease while the work goes on, and notices what others decide about the batch.

    A thread renews the lease, because loading a model or one portion may take longer than it; but only
    as long as the work has called `look` lately: one that hangs loses its lease.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._lease = settings.TRAINYARD["LEASE"]
        self._began = self._looked = self._heard = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"batch-{batch.pk}", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def look(self) -> None:
        """Call often. Raises `StaleAttempt`, `Cancelled` or `Interrupted` when the work should stop."""
        self._heard = time.monotonic()
        if self._heard - self._looked < LOOK_EVERY:
            return
        self._looked = self._heard
        if transitions.renew(self._batch, lease=self._lease) == Batch.State.CANCELLING:
            raise Cancelled
        if is_halted():
            raise Interrupted("Suspended for maintenance; it goes on afterwards.")
        if worker_stops.is_set():
            raise Interrupted("Goes on in a moment: its worker was stopped.")

    def _renew(self) -> None:
        try:
            while not self._done.wait(self._lease.total_seconds() / 4):
                if time.monotonic() - self._heard > SILENCE_ALLOWED:
                    logger.warning("batch.silent", batch=self._batch.pk)
                    return
                try:
                    transitions.renew(self._batch, lease=self._lease)
                except StaleAttempt:  # the work will notice
                    return
                except DatabaseError as error:  # away for less than the lease, it costs nothing
                    logger.warning("batch.database_away", batch=self._batch.pk, error=str(error))
                    close_old_connections()
        finally:
            connection.close()

    def yield_to_others(self) -> None:
        """Raise `Interrupted` when the batch has had its turn and something else waits for the worker."""
        its_turn_is_over = time.monotonic() - self._began > settings.TRAINYARD["BATCH_TURN"].total_seconds()
        if its_turn_is_over and (Batch.objects.queued().exists() or waits_in(QUEUE)):
            raise Interrupted("Takes turns with others.")


def run_batch(batch: Batch) -> None:
    """Carry a claimed batch as far as it goes, whatever happens."""
    log = logger.bind(batch=batch.pk, attempt=batch.attempt)
    log.info("batch.started", done=batch.done, total=batch.total)
    keep = settings.TRAINYARD["BATCH_RETENTION"]
    try:
        with _scratch(batch) as folder, Watch(batch) as watch:
            _carry(batch, folder, watch)
        log.info("batch.succeeded", inputs=batch.total, unreadable=batch.unreadable)
    except StaleAttempt as error:
        log.warning("batch.attempt_stale", reason=str(error))
    except Cancelled:
        with contextlib.suppress(StaleAttempt):
            transitions.finish_cancelling(batch, keep=keep)
        log.info("batch.cancelled", done=batch.done)
    except (Interrupted, MaintenanceMode) as error:
        _suspend(batch, str(error))
        log.info("batch.suspended", done=batch.done, reason=str(error))
    except (
        DataError,
        InvalidRequest,
        InvalidModel,
        LimitExceeded,
        WrongFile,
    ) as error:  # another attempt would end the same way
        with contextlib.suppress(StaleAttempt):
            transitions.fail(batch, reason=str(error), keep=keep)
        log.info("batch.failed", error=str(error))
    except Exception as error:  # the bucket, the disk, the database: another attempt may succeed
        log.warning("batch.attempt_failed", error=repr(error), exc_info=not isinstance(error, BucketError))
        _suspend_or_fail(batch, error)
    _tidy_if_ended(batch)


def _carry(batch: Batch, folder: Path, watch: Watch) -> None:
    """Classify what is left to do, and put the lines together."""
    is_image = batch.model.task_type == TaskType.IMAGE
    path = folder / f"input{batch.suffix}"
    download(source_key(batch), path, sha256=batch.sha256, limit=batch.size, check=watch.look)
    source = open_source(path, is_image=is_image, limits=limits(), column=batch.column)
    served = find_served_model(batch.model.token)
    with broken_limits_noted(served.model):
        predictor = load_served(served)
    for start, items in _portions(source, batch.done):
        watch.look()
        find_served_model(batch.model.token)  # it may have been deleted meanwhile
        with broken_limits_noted(served.model):
            outcomes = list(classify(predictor, items))
        _note(batch, start, write_lines(items, outcomes), outcomes)
        if batch.done < batch.total:
            watch.yield_to_others()
    _finish(batch, heading(batch.model.task_type), watch)


def _portions(source: Source, start: int) -> Iterator[tuple[int, Sequence[Item]]]:
    for items in source.chunks(start):
        yield start, items
        start += len(items)


def _note(batch: Batch, start: int, lines: str, outcomes: Sequence[Prediction | str]) -> None:
    """Keep a portion's lines, then count it."""
    labels = [outcome.label for outcome in outcomes if isinstance(outcome, Prediction)]
    get_bucket().save(part_key(batch, batch.attempt, start), BytesIO(lines.encode()))
    batch.done, batch.unreadable = start + len(outcomes), batch.unreadable + len(outcomes) - len(labels)
    if batch.parts and batch.parts[-1][0] == batch.attempt:
        batch.parts[-1][2] = batch.done
    else:
        batch.parts.append([batch.attempt, start, batch.done])
    transitions.note_done(batch, lease=settings.TRAINYARD["LEASE"])
    usage_recorder().record(batch.model_id, labels)


def _finish(batch: Batch, first_line: str, watch: Watch) -> None:
    """Put the portions together into one file, and end the batch with it."""
    key, size = f"{folder_of(batch)}result-{batch.attempt}.csv", 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        yield first_line.encode()
        size += len(first_line.encode())
        for part in parts_of(batch):
            watch.look()
            for piece in _read_part(part):
                size += len(piece)
                yield piece

    get_bucket().put_stream(key, pieces(), if_match=None)
    transitions.succeed(batch, key=key, size=size, keep=settings.TRAINYARD["BATCH_RETENTION"])


def _read_part(key: str) -> Iterator[bytes]:
    try:
        file = get_bucket().open(key)
    except Missing as error:
        raise WrongFile(f"A part of the result is missing in the bucket ({key}).") from error
    with file:
        yield from file


@contextlib.contextmanager
def _scratch(batch: Batch) -> Iterator[Path]:
    """Give the attempt a folder; those of its dead predecessors on this machine go."""
    jobs = settings.HOME / "jobs"
    for left in jobs.glob(f"batch-{batch.pk}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder: Path = jobs / f"batch-{batch.pk}-{batch.attempt}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _suspend(batch: Batch, reason: str) -> None:
    """Return the batch to the queue, and wake somebody up for it; what was cancelled meanwhile ends."""
    try:
        transitions.suspend(batch, reason=reason)
    except StaleAttempt:
        with contextlib.suppress(StaleAttempt):
            transitions.finish_cancelling(batch, keep=settings.TRAINYARD["BATCH_RETENTION"])
    else:
        announce(batch.pk)


def _suspend_or_fail(batch: Batch, error: Exception) -> None:
    """Let another attempt try, unless several in a row have got nothing done."""
    close_old_connections()
    most = settings.TRAINYARD["MAX_ATTEMPTS"]
    with contextlib.suppress(StaleAttempt):
        if batch.failures + 1 >= most:
            reason = f"Gave up after {most} attempts: {str(error) or type(error).__name__}"
            transitions.fail(batch, reason=reason, keep=settings.TRAINYARD["BATCH_RETENTION"])
        else:  # announced by reconcile, so that the trouble has time to pass
            transitions.suspend(batch, reason=f"Tries again: {error}", failed=True)


def _tidy_if_ended(batch: Batch) -> None:
    """Delete what a batch that has ended needs no more; what fails here goes when it expires."""
    with contextlib.suppress(Exception):
        row = Batch.objects.get(pk=batch.pk)
        if row.is_final:
            tidy(row)
