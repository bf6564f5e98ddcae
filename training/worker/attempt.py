"""One attempt at a job, from claim to live model, in the worker process.

The worker itself never trains: a child process does, and reports events. This module fetches the data
set, watches the child, keeps the lease, uploads what came out, and makes the model live in one
transaction that a lost lease rolls back. What the child finds in the data afterwards is stored when
it comes. Files lie under a prefix of the attempt's own, so that two
attempts never touch each other's.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import close_old_connections, connection, transaction

from bucket.factory import get_bucket
from bucket.files import WrongFile, download, upload
from core.exceptions import TrainyardError
from documents import keys
from documents.publish import publish
from models_registry.models import RegisteredModel
from models_registry.projects.versions import ModelDescription, StoredFile, publish_model
from work import transitions
from work.attempt import Attempt, HopelessAttempt
from work.heartbeat import Heartbeat, Interrupted
from work.stopping import worker_stops

from ..datasets.models import Dataset
from ..engine.events import (
    CheckpointEvent,
    Event,
    FailureEvent,
    FindingsEvent,
    ProgressEvent,
    ResultEvent,
)
from ..engine.process import TrainerProcess
from ..engine.request import TrainingRequest, TrainingResult
from ..examples.files import LISTED, LOOKED_AT, findings_key
from ..examples.findings import (
    StoredFindings,
    apply_waiting,
    record_findings,
    record_listing,
    stored_counts,
)
from ..examples.models import Revision
from ..jobs.files import attempt_prefix, delete_checkpoints
from ..jobs.models import TrainingJob
from ..jobs.progress import JobProgress
from .checkpoint_uploads import CheckpointKeeper
from .devices import DevicePool, visible_gpus
from .dispatch import take_next
from .features import fetch_features, keep_features
from .pretrained import provide_network
from .shards import fetch_revision

logger = structlog.get_logger(__name__)

devices = DevicePool(visible_gpus(), each=settings.TRAINYARD["GPUS_PER_JOB"])

POLL = 0.2
STOP_GRACE = 1.0  # for a trainer whose work is not wanted any more
SUSPEND_GRACE = 5.0  # for one that may be writing a checkpoint
FLUSH_WITHIN = 60.0  # seconds for the upload of the last checkpoint
FINDINGS_WITHIN = 1800.0  # seconds for a look at the data, after the model is live
LOG_TAIL = 4000  # characters


class TrainerDied(TrainyardError):
    """The trainer's process ended without a result; another attempt may succeed."""


class TrainingAttempt(Attempt[TrainingJob]):
    """Trains what a job asks for in a child process, and makes the model live."""

    kind = TrainingJob

    def __init__(self, job: TrainingJob) -> None:
        super().__init__(job)
        self._keeper = CheckpointKeeper(job, self.folder)
        self._is_published = False

    @classmethod
    def claim_next(cls, *, worker: str, queue: str) -> TrainingJob | None:
        """Take the first job of a queue that this machine has room for."""
        return take_next(queue, worker=worker)

    def carry_out(self) -> None:
        """Write training.json beside the training, and again at its end."""
        try:
            with _training_document():
                super().carry_out()
        finally:
            publish(keys.TRAINING)

    def run(self) -> None:
        """Train, publish, then wait for what is found in the data."""
        trainer = TrainerProcess()
        try:
            with devices.take() as device:
                result = _train(self.work, self.folder, self.heartbeat, self._keeper, device, trainer)
                model = _publish(self.work, result, self.folder, self.heartbeat)
                self._is_published = True
                _complete(self.work, model, result, self.folder, trainer)
        finally:
            trainer.stop(STOP_GRACE)

    def before_end(self) -> None:
        """Write the newest checkpoint in the bucket into the row's progress."""
        self.work.progress = self.work.how_far.with_checkpoint(self._keeper.kept_epoch).to_json()

    def tidy(self) -> None:
        """Remove uploaded files and checkpoints that no later attempt needs."""
        self._keeper.close()
        if not self._is_published:
            delete_unpublished_files(self.work)
        delete_unneeded_checkpoints(self.work)


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
            get_bucket().delete(findings_key(row.project, job.pk, job.attempt, LISTED))


def delete_unneeded_checkpoints(job: TrainingJob) -> None:
    """Remove the checkpoints of a job that has ended; what fails here, `reconcile` sweeps."""
    close_old_connections()
    with contextlib.suppress(Exception):
        if not TrainingJob.objects.unfinished().filter(pk=job.pk).exists():
            delete_checkpoints(job)


@contextlib.contextmanager
def _training_document() -> Iterator[None]:
    """Write training.json in a thread, so that the training does not wait for it."""

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
    job: TrainingJob,
    folder: Path,
    heartbeat: Heartbeat,
    keeper: CheckpointKeeper,
    device: str,
    trainer: TrainerProcess,
) -> TrainingResult:
    """Run the trainer in a child process until it has a result; it goes on with a look at the data then."""
    began = time.monotonic()
    heartbeat.tell(progress=job.how_far.kept("fetch", "Fetching the data set").to_json())
    told = _data_of(job, folder, heartbeat.check)
    features = fetch_features(job, folder, heartbeat.check)
    digests = provide_network(job.architecture, heartbeat.check)
    resumed_from = keeper.fetch()
    fetched = time.monotonic()
    output = folder / "output"
    output.mkdir()
    deadline = began + (settings.TRAINYARD["JOB_DEADLINE"] - job.spent).total_seconds()
    request = replace(_request(job, output), digests=digests, features=features, **told)
    trainer.start(replace(request, checkpoint_dir=str(keeper.local), device=device))
    try:
        for event in _events(trainer, heartbeat, deadline):
            if isinstance(event, FailureEvent):
                raise _failure(event)
            if isinstance(event, ResultEvent):
                logger.info("trainer.finished", job=job.pk, resumed_from=resumed_from)
                return _finished(event, fetch_seconds=round(fetched - began, 2))
            _note(event, trainer, heartbeat, keeper)
        raise TrainerDied(f"the trainer died (exit code {trainer.exitcode})")
    except Interrupted:
        _save_progress(trainer, heartbeat, keeper)
        raise


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
        return TrainerDied("the trainer was stopped from outside")
    return HopelessAttempt(f"The trainer failed, which is not your data's fault: {event.message}")


def _note(event: Event, trainer: TrainerProcess, heartbeat: Heartbeat, keeper: CheckpointKeeper) -> None:
    """Pass progress on to the row, and a checkpoint to the uploads."""
    if isinstance(event, CheckpointEvent):
        keeper.take(event.files, event.epoch)
    elif isinstance(event, ProgressEvent):
        progress = JobProgress.of_event(event, keeper.kept_epoch)
        heartbeat.tell(progress=progress.to_json(), log_tail=trainer.log_tail(LOG_TAIL))


def _save_progress(trainer: TrainerProcess, heartbeat: Heartbeat, keeper: CheckpointKeeper) -> None:
    """Let the trainer end, and upload the last checkpoint that it wrote."""
    trainer.stop(SUSPEND_GRACE)
    while (event := trainer.next_event(timeout=0)) is not None:
        _note(event, trainer, heartbeat, keeper)
    keeper.flush(FLUSH_WITHIN)


def _events(trainer: TrainerProcess, heartbeat: Heartbeat, deadline: float) -> Iterator[Event]:
    """Yield the trainer's events until it ends; between them, check the lease, cancellation and the deadline."""
    while True:
        heartbeat.look()
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


def _data_of(job: TrainingJob, folder: Path, check: Callable[[], None]) -> dict[str, Any]:
    """Fetch what a job trains on; returns the fields of its request that say where it lies."""
    if job.revision is None:
        return {"dataset_path": str(fetch_dataset(job.dataset, folder, check))}
    manifest, shards = fetch_revision(job.revision, folder, check)
    return {"manifest": str(manifest), "shards": shards, "dataset_sha256": job.revision.sha256}


def _request(job: TrainingJob, output: Path) -> TrainingRequest:
    """Return what to train; where the data lie is known when they are fetched."""
    return TrainingRequest(
        public_id=str(job.public_id),
        name=job.name,
        task_type=job.task_type,
        architecture=job.architecture,
        strategy=job.strategy,
        dataset_path="",
        dataset_sha256=job.dataset.sha256,
        columns=job.dataset.columns,
        corrections=job.dataset.corrections,
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


def _publish(job: TrainingJob, result: TrainingResult, folder: Path, heartbeat: Heartbeat) -> RegisteredModel:
    """Upload the files, then make the model live and end the job in one transaction."""
    began = time.monotonic()
    heartbeat.tell(progress=JobProgress("publish", message="Uploading and publishing").to_json())
    files = _upload_all(job, result, folder / "output", heartbeat)
    listed = _store_seen(job, folder / "output" / result.examples, LISTED) if result.examples else None
    phases = {**result.phase_seconds, "publish": round(time.monotonic() - began, 2)}
    with transaction.atomic():
        model = publish_model(description=_describe(job, result, phases), files=files)
        progress = JobProgress("done", phase_seconds=phases)
        revision = job.revision
        if listed:
            counts = stored_counts(folder / "output" / result.examples)
            revision = record_listing(
                model=model, dataset=job.dataset, revision=revision, file=listed, counts=counts
            )
        transitions.succeed(job, registered_model_id=model.pk, progress=progress.to_json(), revision=revision)
    logger.info(
        "job.succeeded", job=job.pk, attempt=job.attempt, accuracy=round(result.accuracy, 2), **phases
    )
    with contextlib.suppress(Exception):  # what fails here, `reconcile` does
        apply_waiting(model)
    return model


def _complete(
    job: TrainingJob, model: RegisteredModel, result: TrainingResult, folder: Path, trainer: TrainerProcess
) -> None:
    """Store what a live model's training has found besides; what fails, the project's next training makes good."""
    try:
        publish(keys.TRAINING)
        keep_features(job, result, folder)
        event = _findings_of(trainer)
        if event is not None:
            file = _store_seen(job, folder / "output" / event.examples, LOOKED_AT)
            record_findings(
                model=model,
                dataset=job.dataset,
                revision=job.revision,
                file=file,
                naive_accuracy=event.naive_accuracy,
            )
            apply_waiting(model)
            _forget_list(job)
    except Exception as error:
        logger.warning("findings.lost", job=job.pk, error=repr(error))


def _forget_list(job: TrainingJob) -> None:
    """Delete the list of examples in whose place findings are now, unless it is a revision."""
    key = findings_key(job.project, job.pk, job.attempt, LISTED)
    if not Revision.objects.filter(key=key).exists():
        get_bucket().delete(key)


def _findings_of(trainer: TrainerProcess) -> FindingsEvent | None:
    """Wait for what the trainer finds in the data; None when it does not, takes too long, or the worker stops."""
    deadline = time.monotonic() + FINDINGS_WITHIN
    while time.monotonic() < deadline and not worker_stops.is_set():
        event = trainer.next_event(timeout=POLL)
        if isinstance(event, FindingsEvent):
            return event
        if isinstance(event, FailureEvent) or (event is None and not trainer.is_alive()):
            logger.warning("findings.failed", reason=str(event))
            return None
    return None


def _store_seen(job: TrainingJob, path: Path, kind: str) -> StoredFindings:
    """Put a file into the bucket that lists examples, or what was found in them. Raises `BucketError`."""
    key = findings_key(job.project, job.pk, job.attempt, kind)
    return StoredFindings(key, path.stat().st_size, upload(path, key))


def _upload_all(
    job: TrainingJob, result: TrainingResult, output: Path, heartbeat: Heartbeat
) -> list[StoredFile]:
    """Upload the files of a result below this attempt's prefix. Raises `BucketError`, `StaleAttempt`."""
    prefix = attempt_prefix(job, job.attempt)
    files = []
    for kind, filename in result.artifacts.items():
        heartbeat.check()
        # In the bucket, which is private, files are named by the token, as Flash's clients expect.
        key = f"{prefix}{job.token}{filename.removeprefix(str(job.public_id))}"
        files.append(_upload(kind, key, output / filename))
    heartbeat.check()
    return files


def _describe(job: TrainingJob, result: TrainingResult, phases: dict[str, float]) -> ModelDescription:
    """Return the model to register; `phases` has the seconds that each phase took."""
    return ModelDescription(
        token=job.token,
        public_id=job.public_id,
        project_id=job.project_id,
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


def _upload(kind: str, key: str, path: Path) -> StoredFile:
    """Put a file into the bucket and read it back: what is registered is what lies there."""
    sha256 = upload(path, key)
    return StoredFile(kind=kind, key=key, size=path.stat().st_size, sha256=sha256)
