"""Writes of batches: create, cancel. Each function is one transaction."""

import contextlib
import hashlib
import tempfile
from pathlib import Path

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files import File
from django.db import transaction
from django.db.models import Case, Count, Sum, When
from django.db.models.functions import Coalesce

from accounts.models import User
from accounts.quota import Kept, require_room, take_room
from bucket.factory import get_bucket
from core.exceptions import BucketError, InvalidRequest
from models_registry.inputs import DataError, NeedsMoreRoom, Room, is_tar, repack
from models_registry.models import RegisteredModel, TaskType
from work import transitions
from work.queue import announce

from ..predict.lookup import find_served_model
from .files import source_key
from .limits import limits
from .models import Batch
from .sources import Source, open_source

logger = structlog.get_logger(__name__)

REPACKED_AT_ONCE = 4  # times what a web process validates: some two seconds


def create_batch(*, token: str, file: File, owner: User | None = None, column: str = "") -> Batch:
    """Validate a file of inputs, store it, and queue its classification.

    Raises `UnknownModel`, `MaintenanceMode`, `InvalidRequest` with what to mend, `QuotaExceeded`, `BucketError`.
    """
    model = find_served_model(token).model
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder) / f"input{_suffix(file)}"
        _copy_bounded(file, path)
        if model.task_type == TaskType.IMAGE or is_tar(path):
            path = _as_zip(path)
        size, sha256 = path.stat().st_size, _hash(path)
        require_room(owner, size)
        batch = Batch(
            model=model,
            token=token,
            owner=owner,
            source_name=Path(file.name or "").name[:255],
            suffix=path.suffix,
            column=column,
            size=size,
            sha256=sha256,
            total=_count(open_batch_file(path, model=model, column=column)),
        )
        _keep(batch, path)
    batch.refresh_from_db(fields=["announced_at"])
    logger.info("batch.created", batch=batch.pk, inputs=batch.total, bytes=size)
    return batch


def kept_batches(owner_id: int | None) -> Kept:
    """Return the storage of an account's batches: inputs of unfinished ones, results of those that succeeded."""
    result = Case(When(state__in=Batch.UNFINISHED, then="size"), default=Coalesce("result_size", 0))
    total = Batch.objects.filter(owner_id=owner_id).aggregate(count=Count("pk"), bytes=Sum(result, default=0))
    hours = settings.TRAINYARD["BATCH_RETENTION"].total_seconds() / 3600
    remedy = f"They go by themselves, {hours:g} hours after they ended."
    return Kept("Batches", total["count"], total["bytes"], "inference:batch-list", remedy)


def open_batch_file(path: Path, *, model: RegisteredModel, column: str = "") -> Source:
    """Return the reader for a file of inputs to a model. Raises `InvalidRequest` for an unsuitable one."""
    try:
        return open_source(path, is_image=model.task_type == TaskType.IMAGE, limits=limits(), column=column)
    except DataError as error:
        raise InvalidRequest(str(error)) from error


@transaction.atomic
def cancel_batch(*, batch: Batch) -> None:
    """End a batch; one that runs ends in a moment. Raises `InvalidRequest` for one that has ended."""
    if not transitions.cancel(batch):
        raise InvalidRequest("This batch has ended already.")
    batch.refresh_from_db()
    logger.info("batch.cancel_requested", batch=batch.pk, state=batch.state)


def _suffix(file: File) -> str:
    """Return the file's suffix, when it is one that any reader knows."""
    suffix = Path(file.name or "").suffix.lower()
    if not (suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 16):
        raise InvalidRequest(
            f"{file.name or 'The file'} has no ending that says what it is, like .zip or .csv."
        )
    return suffix


def _copy_bounded(file: File, path: Path) -> None:
    """Copy an upload while counting."""
    most, size = settings.TRAINYARD["MAX_BATCH_BYTES"], 0
    with path.open("wb") as target:
        for chunk in file.chunks():
            size += len(chunk)
            if size > most:
                raise InvalidRequest(f"The file is larger than the {most // 2**20} MB that a batch may have.")
            target.write(chunk)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_zip(path: Path) -> Path:
    """Return another kind of archive as a zip, if that takes a web process a moment only."""
    target = path.with_name("repacked.zip")
    most = REPACKED_AT_ONCE * settings.TRAINYARD["VALIDATE_IN_WEB_BYTES"]
    try:
        is_other = repack(path, target, limits(), Room(most, settings.TRAINYARD["MAX_BATCH_INPUTS"]))
    except NeedsMoreRoom as error:
        raise InvalidRequest(f"{error} Send so many images as a zip of the images themselves.") from error
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    return target if is_other else path


def _count(source: Source) -> int:
    try:
        total = source.count()
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    if not total:
        raise InvalidRequest("The file has no inputs below its heading.")
    return total


def _keep(batch: Batch, path: Path) -> None:
    """Store the file and write the row: both, or neither."""
    try:
        batch.full_clean(exclude=["model", "owner"])
    except ValidationError as error:
        raise InvalidRequest(" ".join(error.messages)) from error
    bucket, key = get_bucket(), source_key(batch)
    try:
        with path.open("rb") as source:
            bucket.save(key, source)
        with transaction.atomic():
            _make_room(batch)
            take_room(batch.owner, batch.size)
            batch.save()
            transaction.on_commit(lambda: announce(batch))
    except BaseException:
        with contextlib.suppress(BucketError):
            bucket.delete(key)
        raise


def _make_room(batch: Batch) -> None:
    """Raise `InvalidRequest` when the queue is full; a lock lets one submission at a time be counted."""
    RegisteredModel.objects.select_for_update().only("pk").get(pk=batch.model_id)
    unfinished, most = Batch.objects.unfinished(), settings.TRAINYARD
    if unfinished.filter(model_id=batch.model_id).count() >= most["MAX_UNFINISHED_BATCHES_PER_MODEL"]:
        raise InvalidRequest("This model has as many unfinished batches as it may. Wait until one has ended.")
    if unfinished.count() >= most["MAX_UNFINISHED_BATCHES"]:
        raise InvalidRequest("All places for batches are taken. Send it again when some have ended.")
