"""How the running job appears in training/training.json, and how a job that another program puts there is imported."""

import json
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from django.conf import settings

from bucket.base import Reader
from bucket.files import download
from core.exceptions import BucketError
from documents import keys
from documents.projections import StreamProjection
from documents.schemas import TrainingDocument
from models_registry.inputs import Corrections
from work.attempt import HopelessAttempt

from ..datasets.models import Dataset
from ..engine.catalogue import get_architecture
from ..engine.data import DataError, iter_revision_dataset, iter_training_document_dataset, learnt_rows
from ..engine.data.manifest import Manifest, read_manifest
from ..engine.specs.strategies import SCRATCH, find_strategy
from ..examples.models import Revision
from ..examples.revisions import shards_of
from ..jobs.models import TrainingJob
from ..worker.shards import fetch_shards
from .external_jobs import import_document


class TrainingProjection(StreamProjection):
    """The longest-running job and its data set; no document while the platform sleeps."""

    key = keys.TRAINING
    schema = TrainingDocument

    def version(self) -> str | None:
        job = TrainingJob.objects.running().values_list("token", "attempt").first()
        return f"{job[0]} {job[1]}" if job else None

    def chunks(self, version: str) -> Iterator[bytes]:
        """Yield the document, in memory of one piece; `BucketError` before the end of one that is not whole."""
        jobs = TrainingJob.objects.select_related("dataset", "revision")
        job = jobs.get(token=version.split()[0])
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            if job.revision is None:
                classes, content = len(job.dataset.classes), _dataset(job.dataset, Path(folder))
            else:
                classes, content = _revision(job.revision, job.task_type, Path(folder))
            head = json.dumps(job_settings(job, classes), indent=2, ensure_ascii=False)
            yield head.removesuffix("\n}").encode()
            yield b',\n  "dataset": '
            yield from content
            yield b"\n}\n"

    def import_document(self, source: Reader, *, etag: str) -> None:
        import_document(source, etag=etag)


def job_settings(job: TrainingJob, classes: int) -> dict[str, object]:
    """Return all of the document but the data set, which has so many classes, in the format's order and words."""
    pretrained = find_strategy(job.strategy).pretrained
    effective = job.effective
    return {
        "token": job.token,
        "task_type": job.task_type,
        "num_classes": classes,
        "optimizer": effective.optimizer,
        "learning_rate": effective.learning_rate,
        "batch_size": effective.batch_size,
        "epochs": effective.epochs,
        "data_split": job.data_split,
        "model": job.architecture,
        "pretrain_dataset": get_architecture(job.architecture).pretrained_on if pretrained else SCRATCH,
        "reduce_lr_on_plateau": job.reduce_lr_on_plateau or False,
        "step_lr": job.step_lr or False,
    }


def is_inlined(dataset: Dataset) -> bool:
    """Tell whether training.json holds a data set itself; it only names one that is larger than that."""
    return dataset.size <= settings.TRAINYARD["MAX_INLINE_BYTES"]


def _dataset(dataset: Dataset, folder: Path) -> Iterator[bytes]:
    if not is_inlined(dataset):
        yield json.dumps(_reference(dataset)).encode()
        return
    path = folder / f"dataset{Path(dataset.key).suffix}"
    download(dataset.key, path, sha256=dataset.sha256, limit=dataset.size)
    try:
        yield from iter_training_document_dataset(
            path,
            task_type=dataset.task_type,
            columns=dataset.columns,
            corrections=Corrections.from_json(dataset.corrections),
            classes=dataset.classes or None,
            unreadable=_unreadable(dataset),
        )
    except DataError as error:
        raise BucketError(f"The data set {dataset.name} cannot be written out: {error}") from error


def _revision(revision: Revision, task_type: str, folder: Path) -> tuple[int, Iterator[bytes]]:
    """Return how many classes a revision has, and its examples as they are labelled in it."""
    path = folder / "manifest.parquet"
    download(revision.key, path, sha256=revision.sha256, limit=revision.size)
    try:
        manifest = read_manifest(path)
    except DataError as error:
        raise BucketError(f"{revision} cannot be written out: {error}") from error
    classes = len({manifest.labels[row] for row in learnt_rows(manifest)})
    uploads = shards_of(revision)
    if sum(upload.size for upload in uploads) > settings.TRAINYARD["MAX_INLINE_BYTES"]:
        reference = {"$ref": revision.key, "sha256": revision.sha256, "bytes": revision.size}
        listed = {**reference, "uploads": [_reference(upload) for upload in uploads]}
        return classes, iter([json.dumps(listed).encode()])
    return classes, _examples(revision, manifest, task_type, folder)


def _examples(revision: Revision, manifest: Manifest, task_type: str, folder: Path) -> Iterator[bytes]:
    try:
        shards = fetch_shards(revision, folder, lambda: None)
        yield from iter_revision_dataset(manifest, shards, task_type=task_type)
    except (DataError, HopelessAttempt) as error:
        raise BucketError(f"{revision} cannot be written out: {error}") from error


def _reference(dataset: Dataset) -> dict[str, object]:
    """Name a data set; of a table also the columns, which the format's own CSV has by its names.

    Where the file alone would be read as other examples, what was said of it is named, too.
    """
    reference = {"$ref": dataset.key, "sha256": dataset.sha256, "bytes": dataset.size}
    more = {"columns": dataset.columns, "corrections": dataset.corrections}
    return {**reference, **{key: value for key, value in more.items() if value}}


def _unreadable(dataset: Dataset) -> Collection[str] | None:
    """Return which files the upload's report found unreadable; None when it does not name them all."""
    listed = {entry["name"] for entry in dataset.report.get("unreadable", [])}
    return listed if dataset.report.get("unreadable_count", -1) == len(listed) else None
