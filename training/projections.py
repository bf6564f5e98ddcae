"""How the running job appears in training/training.json."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.files.storage import storages

from documents import keys
from documents.projections import StreamProjection
from documents.schemas import TrainingDocument

from .catalogue import get_architecture
from .data import iter_training_document_dataset
from .models import Dataset, TrainingJob

INLINE_LIMIT = 2**30  # bytes of a data set; a larger one is named instead of written out


class TrainingProjection(StreamProjection):
    """The longest-running job and its data set; no document while the platform sleeps."""

    key = keys.TRAINING
    schema = TrainingDocument

    def version(self) -> str | None:
        job = TrainingJob.objects.running().values_list("token", "attempt").first()
        return f"{job[0]} {job[1]}" if job else None

    def chunks(self, version: str) -> Iterator[bytes]:
        job = TrainingJob.objects.select_related("dataset").get(token=version.split()[0])
        head = json.dumps(job_settings(job), indent=2, ensure_ascii=False)
        yield head.removesuffix("\n}").encode()
        yield b',\n  "dataset": '
        yield from self._dataset(job.dataset)
        yield b"\n}\n"

    def _dataset(self, dataset: Dataset) -> Iterator[bytes]:
        if dataset.size > INLINE_LIMIT:
            reference = {"$ref": dataset.key, "sha256": dataset.sha256, "bytes": dataset.size}
            yield json.dumps(reference).encode()
            return
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            path = Path(folder) / f"dataset{Path(dataset.key).suffix}"
            with storages["default"].open(dataset.key) as source, path.open("wb") as target:
                for chunk in source.chunks(1 << 20):
                    target.write(chunk)
            yield from iter_training_document_dataset(
                path, task_type=dataset.task_type, columns=dataset.columns
            )


def job_settings(job: TrainingJob) -> dict[str, object]:
    """Return all of the document but the data set, in the format's order and words."""
    effective = job.effective
    return {
        "token": job.token,
        "task_type": job.task_type,
        "num_classes": len(job.dataset.classes),
        "optimizer": effective.optimizer,
        "learning_rate": effective.learning_rate,
        "batch_size": effective.batch_size,
        "epochs": effective.epochs,
        "data_split": job.data_split,
        "model": job.architecture,
        "pretrain_dataset": get_architecture(job.architecture).pretrained_on or False,
        "reduce_lr_on_plateau": job.reduce_lr_on_plateau or False,
        "step_lr": job.step_lr or False,
    }
