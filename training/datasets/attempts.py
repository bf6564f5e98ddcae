"""One attempt of a worker at validating a data set, from claim to outcome."""

import time
from collections.abc import Iterator
from pathlib import Path

import structlog
from django.conf import settings

from bucket.files import WrongFile, download
from core.exceptions import InvalidRequest, TrainyardError
from core.text import storable
from work.attempt import Attempt, HopelessAttempt
from work.heartbeat import Heartbeat

from ..engine.data import DataReport
from ..engine.data.validation import Wanted
from ..engine.data.validation_events import (
    AllExamplesFound,
    ExamplesFound,
    ExamplesRead,
    Found,
    Validated,
    ValidationFailed,
)
from . import outcomes
from .models import DatasetValidation
from .process import ValidationProcess
from .services import as_zip

logger = structlog.get_logger(__name__)

POLL = 0.5  # seconds
ARRIVED = "dataset{}"  # the file as it was uploaded, with its suffix


class ReaderDied(TrainyardError):
    """The child process ended without an outcome; another attempt may succeed."""


class ValidationAttempt(Attempt[DatasetValidation]):
    """Validates a data set in a child process and writes the outcome."""

    kind = DatasetValidation

    def run(self) -> None:
        """Read the data set, and make it ready or unusable."""
        path = fetch_upload(self.work, self.folder, self.heartbeat)
        report = _read(self.work, path, self.heartbeat)
        if report.problems or is_as_uploaded(path):
            outcomes.conclude(self.work, report)
        else:
            outcomes.conclude_repacked(self.work, report, path)
        logger.info("validation.ended", dataset=self.work.dataset_id, problems=len(report.problems))


def fetch_upload(validation: DatasetValidation, folder: Path, heartbeat: Heartbeat) -> Path:
    """Return the file, of images as a plain zip. Raises `HopelessAttempt`, `BucketError`."""
    dataset = validation.dataset
    path = folder / ARRIVED.format(Path(dataset.key).suffix)
    try:
        download(dataset.key, path, sha256=dataset.sha256, limit=dataset.size, check=heartbeat.check)
    except WrongFile as error:
        raise HopelessAttempt("The file in the bucket is not what was uploaded. Upload it again.") from error
    try:
        return as_zip(path, task_type=dataset.task_type)
    except InvalidRequest as error:
        raise HopelessAttempt(storable(error)) from error


def is_as_uploaded(path: Path) -> bool:
    """Tell whether `fetch_upload` has left the file as it came."""
    return path.name == ARRIVED.format(path.suffix)


def read_in_a_child(
    validation: DatasetValidation, path: Path, heartbeat: Heartbeat, wanted: Wanted
) -> Iterator[Found]:
    """Let a child process read the file; yields what it finds. Raises `HopelessAttempt`, `ReaderDied`."""
    dataset = validation.dataset
    with ValidationProcess(
        path,
        wanted=wanted,
        task_type=dataset.task_type,
        columns=dataset.columns,
        corrections=dataset.corrections,
        folder=path.parent / "empty",
        memory=settings.TRAINYARD["VALIDATION_MEMORY_BYTES"],
    ) as child:
        for found in _followed(child, heartbeat):
            yield found
            if isinstance(found, Validated | AllExamplesFound):
                return
        end = child.describe_end()
        logger.warning("validation.reader_died", dataset=dataset.pk, end=end, printed=child.printed())
    raise ReaderDied(f"the process that reads it died ({end})")


def _read(validation: DatasetValidation, path: Path, heartbeat: Heartbeat) -> DataReport:
    """Return the report of a file. Raises `HopelessAttempt`, `ReaderDied`."""
    *_, last = read_in_a_child(validation, path, heartbeat, "report")
    assert isinstance(last, Validated)
    return last.report


def _followed(child: ValidationProcess, heartbeat: Heartbeat) -> Iterator[Found]:
    """Pass the child's progress on and yield what it finds. Raises `HopelessAttempt`."""
    allowed = settings.TRAINYARD["VALIDATION_DEADLINE"]
    deadline = time.monotonic() + allowed.total_seconds()
    for event in child.events(pause=POLL):
        heartbeat.look()
        if time.monotonic() > deadline:
            raise HopelessAttempt(
                f"Reading it took longer than the {allowed} that it may take. Send less at a time."
            )
        match event:
            case ValidationFailed():
                raise HopelessAttempt(_reason(event))
            case ExamplesRead(done, total):
                heartbeat.tell(done=done, total=total)
            case Validated() | ExamplesFound() | AllExamplesFound():
                yield event


def _reason(failure: ValidationFailed) -> str:
    """Return why a data set cannot be read, for its owner."""
    match failure.kind:
        case "data":
            return storable(failure.message)
        case "memory":
            most = settings.TRAINYARD["VALIDATION_MEMORY_BYTES"] // 2**20
            return f"Reading it takes more than {most:,} MB of memory. Look for what is far larger than the rest."
        case "internal":
            return f"Reading it failed, which is not your data's fault: {storable(failure.message)}"
