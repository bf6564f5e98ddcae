"""One attempt of a worker at validating a data set, from claim to outcome."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.db.models import Exists

from bucket.files import WrongFile, download
from control.models import PlatformStatus
from control.selectors import is_halted
from core.exceptions import BucketError, StaleAttempt, TrainyardError
from core.text import storable
from work import transitions
from work.heartbeat import Heartbeat, Interrupted
from work.queue import announce
from work.stopping import worker_stops

from . import outcomes
from .models import DatasetValidation
from .process import ValidationProcess

logger = structlog.get_logger(__name__)

POLL = 0.5  # seconds


class HopelessValidation(TrainyardError):
    """The data set cannot be used; another attempt would end the same way."""


class ReaderDied(TrainyardError):
    """The child ended without an outcome; another attempt may succeed."""


def claim_next(*, worker: str) -> DatasetValidation | None:
    """Take the data set whose turn it is; None when none waits, or the platform is halted."""
    return transitions.claim_next(
        DatasetValidation,
        worker=worker,
        lease=settings.TRAINYARD["LEASE"],
        where=~Exists(PlatformStatus.objects.filter(dev_mode=True)),
    )


def run_validation(validation: DatasetValidation) -> None:
    """Carry a claimed validation as far as it goes, whatever happens."""
    log = logger.bind(dataset=validation.dataset_id, attempt=validation.attempt)
    log.info("validation.started")
    heartbeat = Heartbeat(validation, lease=settings.TRAINYARD["LEASE"], interruption=_why_make_room)
    try:
        with _scratch(validation) as folder, heartbeat:
            report = _read(validation, folder, heartbeat)
            outcomes.conclude(validation, report)
        log.info("validation.ended", problems=len(report["problems"]))
    except StaleAttempt as error:
        log.warning("validation.attempt_stale", reason=str(error))
    except Interrupted as error:
        with contextlib.suppress(StaleAttempt):
            transitions.hand_back(validation, reason=str(error))
            announce(DatasetValidation, validation.pk)
        log.info("validation.interrupted", reason=str(error))
    except HopelessValidation as error:
        with contextlib.suppress(StaleAttempt):
            transitions.fail(validation, reason=str(error))
        log.info("validation.failed", error=str(error))
    except Exception as error:  # the bucket, the disk, the database, the child: another attempt may succeed
        log.warning(
            "validation.attempt_failed", error=repr(error), exc_info=not isinstance(error, TrainyardError)
        )
        _hand_back(validation, error)
    with contextlib.suppress(Exception):  # whichever storage, whatever it raises: reconcile does it, then
        outcomes.sweep(validation)


def _read(validation: DatasetValidation, folder: Path, heartbeat: Heartbeat) -> dict[str, Any]:
    """Fetch the file and let a child read it; returns its report."""
    dataset, limits = validation.dataset, settings.TRAINYARD
    path = folder / f"dataset{Path(dataset.key).suffix}"
    try:
        download(dataset.key, path, sha256=dataset.sha256, limit=dataset.size, check=heartbeat.check)
    except WrongFile as error:
        raise HopelessValidation(
            "The file in the bucket is not what was uploaded. Upload it again."
        ) from error
    deadline = time.monotonic() + limits["VALIDATION_DEADLINE"].total_seconds()
    with ValidationProcess(
        path,
        task_type=dataset.task_type,
        columns=dataset.columns,
        folder=folder / "empty",
        memory=limits["VALIDATION_MEMORY_BYTES"],
    ) as child:
        for event in child.events(pause=POLL):
            heartbeat.check()
            if time.monotonic() > deadline:
                raise HopelessValidation(
                    f"Reading it took longer than the {limits['VALIDATION_DEADLINE']} that it may take. "
                    "Send less at a time."
                )
            if event is None:
                continue
            if "report" in event:
                report: dict[str, Any] = event["report"]
                return report
            if "error" in event:
                raise _failure(event)
            heartbeat.tell(done=event["done"], total=event["total"])
        end = child.describe_end()
        logger.warning("validation.reader_died", dataset=dataset.pk, end=end, printed=child.printed())
    raise ReaderDied(f"the process that reads it died ({end})")


def _failure(event: dict[str, Any]) -> Exception:
    """Return what an error of the child means for the data set."""
    if event["kind"] == "data":
        return HopelessValidation(storable(event["error"]))
    if event["kind"] == "memory":
        most = settings.TRAINYARD["VALIDATION_MEMORY_BYTES"] // 2**20
        return HopelessValidation(
            f"Reading it takes more than {most:,} MB of memory. Look for what is far larger than the rest."
        )
    return HopelessValidation(
        f"Reading it failed, which is not your data's fault: {storable(event['error'])}"
    )


def _why_make_room() -> str:
    if worker_stops.is_set():
        return "Goes on in a moment: its worker was stopped."
    return "Halted for maintenance; it goes on afterwards." if is_halted() else ""


def _hand_back(validation: DatasetValidation, error: Exception) -> None:
    """Let another attempt try, unless several have died; announced by reconcile, so that the trouble may pass."""
    close_old_connections()
    reason = storable(error) if isinstance(error, ReaderDied | BucketError) else type(error).__name__
    with contextlib.suppress(StaleAttempt):
        transitions.hand_back_or_fail(
            validation,
            reason=reason,
            max_attempts=settings.TRAINYARD["MAX_ATTEMPTS"],
        )


@contextlib.contextmanager
def _scratch(validation: DatasetValidation) -> Iterator[Path]:
    """Give the attempt a folder; those of its dead predecessors on this machine go."""
    jobs = settings.HOME / "jobs"
    for left in jobs.glob(f"validation-{validation.pk}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder: Path = jobs / f"validation-{validation.pk}-{validation.attempt}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
