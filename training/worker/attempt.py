"""One attempt at a job, from claim to live model, in the worker process.

The worker itself never trains: a child process does, and only tells. This module fetches the data
set, watches the child, keeps the lease, uploads what came out, and makes the model live in one
transaction that a lost lease rolls back. Files lie under a prefix of the attempt's own, so that two
attempts never touch each other's.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction

from bucket.factory import get_bucket
from bucket.files import WrongFile, download, upload
from control.selectors import is_halted
from core.exceptions import StaleAttempt, TrainyardError
from documents import keys
from documents.publish import publish
from models_registry.services import ModelDescription, StoredFile, publish_model

from ..datasets.models import Dataset
from ..engine.events import CheckpointEvent, Event, FailureEvent, ProgressEvent, ResultEvent
from ..engine.process import TrainerProcess
from ..engine.request import TrainingRequest, TrainingResult
from ..jobs import transitions
from ..jobs.files import attempt_prefix, delete_checkpoints
from ..jobs.models import TrainingJob
from ..jobs.progress import JobProgress
from ..jobs.services import announce
from .checkpoint_uploads import CheckpointKeeper
from .devices import DevicePool, visible_gpus

logger = structlog.get_logger(__name__)

devices = DevicePool(visible_gpus(), each=settings.TRAINYARD["GPUS_PER_JOB"])
worker_stops = threading.Event()  # set when this worker process was asked to end

NEWS_EVERY = 0.5  # seconds; progress reaches the database at most this often
SILENCE_ALLOWED = 600.0  # seconds without a word from the trainer before the lease is given up
POLL = 0.2
STOP_GRACE = 1.0  # for a trainer whose work is not wanted any more
SUSPEND_GRACE = 5.0  # for one that may be writing a checkpoint
FLUSH_WITHIN = 60.0  # seconds for the upload of the last checkpoint
LOG_TAIL = 4000  # characters


class CancelRequested(Exception):
    """The owner cancelled the job."""


class Interruption(TrainyardError):
    """The job has to make room through no fault of its own; it goes on from its last checkpoint."""


class Halted(Interruption):
    """Maintenance mode was switched on."""

    def __init__(self) -> None:
        super().__init__("Suspended for maintenance")


class WorkerStops(Interruption):
    """The worker was asked to end; the job goes back to the queue at once."""

    def __init__(self) -> None:
        super().__init__("Queued again because its worker was stopped")


class TrainerDied(TrainyardError):
    """The child ended without a result; another attempt may succeed."""


class HopelessAttempt(TrainyardError):
    """The data, the settings or the trainer's code are at fault; another attempt would end the same way."""


class Heartbeat:
    """Renews the lease and carries progress to the database, from a thread of its own."""

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.progress = job.how_far  # what was told last
        self.lost = threading.Event()
        self.cancelled = threading.Event()
        self.halted = threading.Event()
        self._done = threading.Event()
        self._news: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._heard_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{job.pk}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def tell(self, progress: JobProgress, **news: Any) -> None:
        """Note how far the job is, and other fields of it, to write with the next renewal."""
        with self._lock:
            self._news |= {**news, "progress": progress.to_json()}
            self.progress = progress
            self._heard_at = time.monotonic()

    def check(self) -> None:
        """Raise when the attempt should stop: `StaleAttempt`, `CancelRequested` or an `Interruption`."""
        if self.lost.is_set():
            raise StaleAttempt(f"Attempt {self.job.attempt} lost its lease.")
        if self.cancelled.is_set():
            raise CancelRequested
        if self.halted.is_set():
            raise Halted
        if worker_stops.is_set():
            raise WorkerStops

    def _run(self) -> None:
        lease = settings.TRAINYARD["LEASE"]
        pause, renewed_at = min(NEWS_EVERY, lease.total_seconds() / 6), time.monotonic()
        try:
            while not self._done.wait(pause) and not self.lost.is_set():
                with self._lock:
                    news, self._news = self._news, {}
                    silent_for = time.monotonic() - self._heard_at
                due = time.monotonic() - renewed_at > lease.total_seconds() / 3
                if silent_for > SILENCE_ALLOWED:
                    logger.warning("trainer.silent", job=self.job.pk, seconds=round(silent_for))
                    self.lost.set()
                else:
                    self._renew(lease, news if news or due else None)
                    renewed_at = time.monotonic() if news or due else renewed_at
        finally:
            connection.close()

    def _renew(self, lease: Any, news: dict[str, Any] | None) -> None:
        """Renew (or, without news, only look), and notice what others have decided about the job."""
        try:
            if news is not None:
                transitions.renew(self.job.pk, attempt=self.job.attempt, lease=lease, **news)
            state = transitions.state_of(self.job.pk, attempt=self.job.attempt)
            if is_halted():
                self.halted.set()
        except StaleAttempt:
            self.lost.set()
        except DatabaseError as error:
            # A database that is away for less than the lease costs nothing.
            logger.warning("heartbeat.database_away", job=self.job.pk, error=str(error))
            close_old_connections()
        else:
            if state == TrainingJob.State.CANCELLING:
                self.cancelled.set()


def run_attempt(job: TrainingJob) -> None:
    """Carry a claimed job to an end, whatever happens to the trainer."""
    log = logger.bind(job=job.pk, attempt=job.attempt)
    log.info("job.started", task_type=job.task_type, architecture=job.architecture)
    try:
        with _training_document():
            _carry(job, log)
    finally:
        publish(keys.TRAINING)


def _carry(job: TrainingJob, log: Any) -> None:
    """Train and publish, and note in the row how it ended before anything is tidied up."""
    folder = settings.HOME / "jobs" / f"{job.pk}-{job.attempt}"
    keeper, heartbeat = CheckpointKeeper(job, folder), Heartbeat(job)
    committed = False
    try:
        with _scratch(folder), heartbeat:
            with devices.take() as device:
                result = _train(job, folder, heartbeat, keeper, device)
            _publish(job, result, folder, heartbeat)
            committed = True
    except CancelRequested:
        with contextlib.suppress(StaleAttempt):
            transitions.finish_cancelling(job.pk, attempt=job.attempt)
        log.info("job.cancelled")
    except HopelessAttempt as error:
        with contextlib.suppress(StaleAttempt):
            transitions.fail(job.pk, attempt=job.attempt, error=str(error))
        log.info("job.failed", error=str(error))
    except StaleAttempt as error:
        log.warning("job.attempt_stale", reason=str(error))
    except Interruption as error:
        with contextlib.suppress(StaleAttempt):
            transitions.suspend(
                job.pk,
                attempt=job.attempt,
                reason=str(error),
                progress=heartbeat.progress.with_checkpoint(keeper.kept_epoch),
            )
        log.info("job.suspended", reason=type(error).__name__, kept_epoch=keeper.kept_epoch)
        if isinstance(error, WorkerStops):  # another may go on at once; who ends maintenance announces it
            announce(job.pk, queue=job.queue)
    except Exception as error:  # the bucket, the disk, the child: another attempt may succeed
        log.warning("job.attempt_failed", error=repr(error), exc_info=not isinstance(error, TrainyardError))
        reason, limit = str(error) or type(error).__name__, settings.TRAINYARD["MAX_ATTEMPTS"]
        with contextlib.suppress(StaleAttempt):
            transitions.hand_back(
                job.pk,
                attempt=job.attempt,
                reason=reason,
                max_attempts=limit,
                progress=heartbeat.progress.with_checkpoint(keeper.kept_epoch),
            )
        announce(job.pk, queue=job.queue)
    finally:
        keeper.close()
        if not committed:
            delete_unpublished_files(job)
        delete_unneeded_checkpoints(job)


def delete_unpublished_files(job: TrainingJob) -> None:
    """Remove what this attempt has uploaded, unless its model is live after all.

    A commit whose answer was lost looks like a failure here and is none: the row is asked, and
    locked, so that a commit that is still under way is waited for. What cannot be asked or deleted
    now, `reconcile` sweeps.
    """
    close_old_connections()
    with contextlib.suppress(Exception), transaction.atomic():
        row = TrainingJob.objects.select_for_update().get(pk=job.pk)
        if row.state != TrainingJob.State.SUCCEEDED or row.attempt != job.attempt:
            get_bucket().delete_folder(attempt_prefix(job, job.attempt))


def delete_unneeded_checkpoints(job: TrainingJob) -> None:
    """Remove the checkpoints of a job that has ended; what fails here, `reconcile` sweeps."""
    close_old_connections()
    with contextlib.suppress(Exception):
        if not TrainingJob.objects.unfinished().filter(pk=job.pk).exists():
            delete_checkpoints(job)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _training_document() -> Iterator[None]:
    """Write training.json beside the training, which need not wait for it."""

    def write() -> None:
        try:
            publish(keys.TRAINING)
        finally:
            connection.close()

    thread = threading.Thread(target=write, name="training-document", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _train(
    job: TrainingJob, folder: Path, heartbeat: Heartbeat, keeper: CheckpointKeeper, device: str
) -> TrainingResult:
    """Run the trainer in a child process until it has a result."""
    began = time.monotonic()
    heartbeat.tell(job.how_far.kept("fetch", "Fetching the data set"))
    data = fetch_dataset(job.dataset, folder, heartbeat.check)
    resumed_from = keeper.fetch()
    fetched = time.monotonic()
    output = folder / "output"
    output.mkdir()
    deadline = began + (settings.TRAINYARD["JOB_DEADLINE"] - job.spent).total_seconds()
    trainer = TrainerProcess()
    trainer.start(replace(_request(job, data, output), checkpoint_dir=str(keeper.local), device=device))
    try:
        for event in _events(trainer, heartbeat, deadline):
            if isinstance(event, FailureEvent):
                raise _failure(event)
            if isinstance(event, ResultEvent):
                logger.info("trainer.finished", job=job.pk, resumed_from=resumed_from)
                return _finished(event, fetch_seconds=round(fetched - began, 2))
            _note(event, trainer, heartbeat, keeper)
        raise TrainerDied(f"the trainer died (exit code {trainer.exitcode})")
    except Interruption:
        _save_progress(trainer, heartbeat, keeper)
        raise
    finally:
        trainer.stop(STOP_GRACE)


def _finished(event: ResultEvent, *, fetch_seconds: float) -> TrainingResult:
    """Return what was trained, with what fetching the data took. Raises `TrainerDied` without a result."""
    if event.result is None:
        raise TrainerDied("the trainer ended without a model")
    return replace(event.result, phase_seconds={**event.result.phase_seconds, "fetch": fetch_seconds})


def _failure(event: FailureEvent) -> Exception:
    """Return what an error of the trainer means for the job."""
    if event.kind in ("data", "training"):
        return HopelessAttempt(event.message)
    if event.kind == "stopped":
        return TrainerDied("somebody stopped the trainer")
    return HopelessAttempt(f"The trainer failed, which is not your data's fault: {event.message}")


def _note(event: Event, trainer: TrainerProcess, heartbeat: Heartbeat, keeper: CheckpointKeeper) -> None:
    """Carry progress to the row and a checkpoint to the bucket."""
    if isinstance(event, CheckpointEvent):
        keeper.take(event.files, event.epoch)
    elif isinstance(event, ProgressEvent):
        progress = JobProgress.of_event(event, keeper.kept_epoch)
        heartbeat.tell(progress, log_tail=trainer.log_tail(LOG_TAIL))


def _save_progress(trainer: TrainerProcess, heartbeat: Heartbeat, keeper: CheckpointKeeper) -> None:
    """Let the trainer come to its end, and keep the last checkpoint that it wrote."""
    trainer.stop(SUSPEND_GRACE)
    while (event := trainer.next_event(timeout=0)) is not None:
        _note(event, trainer, heartbeat, keeper)
    keeper.flush(FLUSH_WITHIN)


def _events(trainer: TrainerProcess, heartbeat: Heartbeat, deadline: float) -> Iterator[Event]:
    """Yield the child's events until it ends, and look around in every pause."""
    while True:
        heartbeat.check()
        if time.monotonic() > deadline:
            limit = settings.TRAINYARD["JOB_DEADLINE"]
            raise HopelessAttempt(
                f"Training took longer than the {limit} that a job may take. Use less data or fewer epochs."
            )
        event = trainer.next_event(timeout=POLL)
        if event is not None:
            yield event
        elif not trainer.is_alive():
            return


def _request(job: TrainingJob, data: Path, output: Path) -> TrainingRequest:
    return TrainingRequest(
        public_id=str(job.public_id),
        name=job.name,
        task_type=job.task_type,
        architecture=job.architecture,
        strategy=job.strategy,
        dataset_path=str(data),
        dataset_sha256=job.dataset.sha256,
        columns=job.dataset.columns,
        data_split=job.data_split,
        seed=job.seed,
        hyperparameters=job.hyperparameters,
        output_dir=str(output),
        cache_dir=str(settings.HOME / "backbones"),
        threads=settings.TRAINYARD["TRAINER_THREADS"],
    )


def fetch_dataset(dataset: Dataset, folder: Path, check: Callable[[], None]) -> Path:
    """Copy a data set out of the bucket and check that it is the one that was validated.

    `check` is called between pieces and may raise to stop.
    """
    path = folder / f"dataset{Path(dataset.key).suffix}"
    try:
        download(dataset.key, path, sha256=dataset.sha256, limit=dataset.size, check=check)
    except WrongFile as error:
        raise HopelessAttempt(
            f"The data set {dataset.name} has changed in the bucket since it was checked. Upload it again."
        ) from error
    return path


def _publish(job: TrainingJob, result: TrainingResult, folder: Path, heartbeat: Heartbeat) -> None:
    """Upload the files, then make the model live and end the job in one transaction."""
    began = time.monotonic()
    heartbeat.tell(JobProgress("publish", message="Uploading and publishing"))
    prefix = attempt_prefix(job, job.attempt)
    files = []
    for kind, filename in result.artifacts.items():
        heartbeat.check()
        # In the bucket, which is private, files are named by the token, as Flash's clients expect.
        key = f"{prefix}{job.token}{filename.removeprefix(str(job.public_id))}"
        files.append(_upload(kind, key, folder / "output" / filename))
    heartbeat.check()
    phases = {**result.phase_seconds, "publish": round(time.monotonic() - began, 2)}
    description = ModelDescription(
        token=job.token,
        public_id=job.public_id,
        name=job.name,
        owner_id=job.owner_id,
        task_type=job.task_type,
        architecture=job.architecture,
        strategy=job.strategy,
        classes=result.classes,
        downloadable=job.downloadable,
        accuracy=result.accuracy,
        accuracy_plot=result.accuracy_plot,
        metrics={**result.metrics, "parity": result.parity, "phase_seconds": phases},
    )
    with transaction.atomic():
        model = publish_model(description=description, files=files)
        progress = JobProgress("done", phase_seconds=phases)
        transitions.succeed(job.pk, attempt=job.attempt, model_id=model.pk, progress=progress.to_json())
    logger.info(
        "job.succeeded", job=job.pk, attempt=job.attempt, accuracy=round(result.accuracy, 2), **phases
    )


def _upload(kind: str, key: str, path: Path) -> StoredFile:
    """Put a file into the bucket and read it back: what is registered is what lies there."""
    sha256 = upload(path, key)
    return StoredFile(kind=kind, key=key, size=path.stat().st_size, sha256=sha256)
