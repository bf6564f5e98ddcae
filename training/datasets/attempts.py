"""One attempt of a worker at validating a data set, from claim to outcome."""

import time
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from bucket.files import WrongFile, download
from core.exceptions import TrainyardError
from core.text import storable
from work.attempt import Attempt, HopelessAttempt
from work.heartbeat import Heartbeat

from . import outcomes
from .models import DatasetValidation
from .process import ValidationProcess

logger = structlog.get_logger(__name__)

POLL = 0.5  # seconds


class ReaderDied(TrainyardError):
    """The child ended without an outcome; another attempt may succeed."""


class ValidationAttempt(Attempt[DatasetValidation]):
    """Lets a child process read a data set, and notes what it found."""

    kind = DatasetValidation

    def run(self) -> None:
        """Read the data set, and make it ready or unusable."""
        report = _read(self.work, self.folder, self.heartbeat)
        outcomes.conclude(self.work, report)
        logger.info("validation.ended", dataset=self.work.dataset_id, problems=len(report["problems"]))


def _read(validation: DatasetValidation, folder: Path, heartbeat: Heartbeat) -> dict[str, Any]:
    """Fetch the file and let a child read it; returns its report."""
    dataset, limits = validation.dataset, settings.TRAINYARD
    path = folder / f"dataset{Path(dataset.key).suffix}"
    try:
        download(dataset.key, path, sha256=dataset.sha256, limit=dataset.size, check=heartbeat.check)
    except WrongFile as error:
        raise HopelessAttempt("The file in the bucket is not what was uploaded. Upload it again.") from error
    deadline = time.monotonic() + limits["VALIDATION_DEADLINE"].total_seconds()
    with ValidationProcess(
        path,
        task_type=dataset.task_type,
        columns=dataset.columns,
        corrections=dataset.corrections,
        folder=folder / "empty",
        memory=limits["VALIDATION_MEMORY_BYTES"],
    ) as child:
        for event in child.events(pause=POLL):
            heartbeat.look()
            if time.monotonic() > deadline:
                raise HopelessAttempt(
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
        return HopelessAttempt(storable(event["error"]))
    if event["kind"] == "memory":
        most = settings.TRAINYARD["VALIDATION_MEMORY_BYTES"] // 2**20
        return HopelessAttempt(
            f"Reading it takes more than {most:,} MB of memory. Look for what is far larger than the rest."
        )
    return HopelessAttempt(f"Reading it failed, which is not your data's fault: {storable(event['error'])}")
