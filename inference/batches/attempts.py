"""A worker's attempt at a batch.

The work is done in portions. The lines of each go to the bucket before the row counts them, so that
the attempt after a dead worker's continues from the row's count.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

import structlog
from django.conf import settings

from bucket.base import Missing
from bucket.factory import get_bucket
from bucket.files import WrongFile, download
from core.exceptions import InvalidRequest, LimitExceeded
from models_registry.artifacts import InvalidModel, Prediction
from models_registry.inputs import DataError
from models_registry.models import TaskType
from work import transitions
from work.attempt import Attempt
from work.heartbeat import TurnOver
from work.queue import waits_in

from ..predict.lookup import find_served_model
from ..predict.services import broken_limits_noted, load_served
from ..usage.statistics import usage_recorder
from .files import folder_of, part_key, parts_of, source_key
from .limits import limits
from .models import QUEUE, Batch
from .results import classify, heading, write_lines
from .sources import Item, Source, open_source

logger = structlog.get_logger(__name__)


class BatchAttempt(Attempt[Batch]):
    """Classifies the inputs of a batch that are not done yet, and joins the lines to the result."""

    kind = Batch
    hopeless = (DataError, InvalidRequest, InvalidModel, LimitExceeded, WrongFile)

    def run(self) -> None:
        """Classify portion by portion, until all are done or others shall have their turn."""
        batch, check, began = self.work, self.heartbeat.check, time.monotonic()
        source = self._fetch()
        served = find_served_model(batch.model.token)
        with broken_limits_noted(served.model):
            predictor = load_served(served)
        for start, items in _portions(source, batch.done):
            check()
            find_served_model(batch.model.token)  # it may have been deleted meanwhile
            with broken_limits_noted(served.model):
                outcomes = list(classify(predictor, items))
            _note(batch, start, write_lines(items, outcomes), outcomes)
            if batch.done < batch.total:
                _yield_to_others(began)
        _finish(batch, heading(batch.model.task_type), check)
        logger.info("batch.succeeded", batch=batch.pk, inputs=batch.total, unreadable=batch.unreadable)

    def _fetch(self) -> Source:
        """Download the file of inputs; returns its reader."""
        batch, path = self.work, self.folder / f"input{self.work.suffix}"
        download(source_key(batch), path, sha256=batch.sha256, limit=batch.size, check=self.heartbeat.check)
        is_image = batch.model.task_type == TaskType.IMAGE
        return open_source(path, is_image=is_image, limits=limits(), column=batch.column)


def _yield_to_others(began: float) -> None:
    """Raise `TurnOver` when a batch has had its turn and something else waits for the worker."""
    its_turn_is_over = time.monotonic() - began > settings.TRAINYARD["BATCH_TURN"].total_seconds()
    if its_turn_is_over and waits_in(QUEUE):
        raise TurnOver("Takes turns with others")


def _portions(source: Source, start: int) -> Iterator[tuple[int, Sequence[Item]]]:
    for items in source.chunks(start):
        yield start, items
        start += len(items)


def _note(batch: Batch, start: int, lines: str, outcomes: Sequence[Prediction | str]) -> None:
    """Store a portion's lines in the bucket, then count its inputs in the row."""
    labels = [outcome.label for outcome in outcomes if isinstance(outcome, Prediction)]
    get_bucket().save(part_key(batch, batch.attempt, start), BytesIO(lines.encode()))
    batch.done, batch.unreadable = start + len(outcomes), batch.unreadable + len(outcomes) - len(labels)
    if batch.parts and batch.parts[-1][0] == batch.attempt:
        batch.parts[-1][2] = batch.done
    else:
        batch.parts.append([batch.attempt, start, batch.done])
    batch.failures = 0
    progress = {name: getattr(batch, name) for name in ("done", "unreadable", "parts", "failures")}
    transitions.renew(batch, **progress)
    usage_recorder().record(batch.model_id, labels)


def _finish(batch: Batch, first_line: str, check: Callable[[], None]) -> None:
    """Join the portions to the result file, and end the batch."""
    key, size = f"{folder_of(batch)}result-{batch.attempt}.csv", 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        yield first_line.encode()
        size += len(first_line.encode())
        for part in parts_of(batch):
            check()
            for piece in _read_part(part):
                size += len(piece)
                yield piece

    get_bucket().put_stream(key, pieces(), if_match=None)
    transitions.succeed(batch, result_key=key, result_size=size)


def _read_part(key: str) -> Iterator[bytes]:
    try:
        file = get_bucket().open(key)
    except Missing as error:
        raise WrongFile(f"A part of the result is missing in the bucket ({key}).") from error
    with file:
        yield from file
