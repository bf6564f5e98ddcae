"""Look at the files of models that others made: are they there, and do they predict?

A model whose files cannot be used stays in the registry and in its document, with the reason beside
it, and is looked at again: its files may come later than its entry. They are opened in a sandbox alone,
and whatever one model does, the others are looked at all the same.
"""

import hashlib
import io
from collections.abc import Iterator
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from bucket.base import Missing
from bucket.factory import get_bucket
from core.exceptions import BucketError
from core.periodic import for_each
from core.text import storable

from .artifacts import BrokenLimit, InvalidModel
from .artifacts.sandbox import SandboxedPredictor, SandboxError
from .limits import MOST_BROKEN, sandbox_limits, stream_file
from .models import Artifact, RegisteredModel, TaskType

logger = structlog.get_logger(__name__)

MODELS_PER_RUN = 20
AGAIN_AFTER = timedelta(minutes=5)
AFTER_OUTAGE = timedelta(seconds=20)
LARGEST = 2**30  # bytes of an .onnx that is opened


def check_imported_models() -> int:
    """Look at models whose files were not usable so far; returns how many became usable.

    The model that was tried longest ago comes first: one whose file takes long does not keep the others
    waiting. Raises `SomeFailed`.
    """
    due = Q(checked_at__isnull=True) | Q(checked_at__lt=timezone.now() - AGAIN_AFTER)
    outside = Q(origin=RegisteredModel.Origin.IMPORTED) | Q(has_outside_files=True)
    models = RegisteredModel.objects.live().filter(due, outside).exclude(unusable_because="")
    return for_each(
        models.order_by(F("checked_at").asc(nulls_first=True))[:MODELS_PER_RUN],
        _look_at,
    )


def _look_at(model: RegisteredModel) -> bool:
    """Look at one model, unless others do; says whether it became usable. Raises what `_check` raises."""
    if not _claim(model):
        return False
    try:
        return _check(model)
    except (BucketError, SandboxError):  # no fault of the model's, and soon over
        soon = timezone.now() - AGAIN_AFTER + AFTER_OUTAGE
        RegisteredModel.objects.filter(pk=model.pk, checked_at__isnull=False).update(checked_at=soon)
        raise


def _claim(model: RegisteredModel) -> bool:
    """Note that a model is looked at, before anything can go wrong with it; False when others do already."""
    now = timezone.now()
    unclaimed = RegisteredModel.objects.filter(
        pk=model.pk, updated_at=model.updated_at, checked_at=model.checked_at
    )
    return bool(unclaimed.update(checked_at=now, has_outside_files=True))


def _check(model: RegisteredModel) -> bool:
    """Look at one model's files and note what was found, unless its entry has changed meanwhile.

    Raises `BucketError` when the bucket does not answer, `SandboxError` when there can be no sandbox; whatever
    else goes wrong is the files' fault.
    """
    artifacts = list(model.artifacts.all())
    known = {artifact.sha256 for artifact in artifacts if artifact.kind == Artifact.Kind.ONNX}
    reasons = [reason for artifact in artifacts for reason in _measure(artifact)]
    onnx = next((artifact for artifact in artifacts if artifact.kind == Artifact.Kind.ONNX), None)
    if model.broken_limits >= MOST_BROKEN and onnx is not None and onnx.sha256 in known:
        return False  # it is as it was
    news: dict[str, object] = {}
    if not reasons:
        try:
            news |= {"classes": _open(model, onnx), "broken_limits": 0}
        except BrokenLimit as error:
            reasons.append(storable(error))
            news["broken_limits"] = model.broken_limits + 1
        except InvalidModel as error:
            reasons.append(storable(error))
    if model.classes:
        news.pop("classes", None)
    news["unusable_because"] = " ".join(reasons)
    with transaction.atomic():
        if not RegisteredModel.objects.filter(pk=model.pk, updated_at=model.updated_at).update(**news):
            return False
        Artifact.objects.bulk_update(artifacts, ["size", "sha256"])
    logger.info("model.checked", model=model.pk, usable=not reasons)
    return not reasons


def _measure(artifact: Artifact) -> Iterator[str]:
    """Fill in a file's size and SHA-256; yields what is wrong with it."""
    digest = hashlib.sha256()
    try:
        file = get_bucket().open(artifact.key)
    except Missing:
        yield f"{artifact.key} is not in the bucket."
        return
    with file:
        for piece in file:
            digest.update(piece)
    artifact.size, artifact.sha256 = file.size, digest.hexdigest()


def _open(model: RegisteredModel, onnx: Artifact | None) -> list[str]:
    """Return the classes of a model that predicts.

    Raises `InvalidModel`, `BrokenLimit` for one that takes too much, `BucketError`, `SandboxError`.
    """
    if onnx is None:
        raise InvalidModel("It has no .onnx file, which predicting needs. Train the data set here.")
    if onnx.size > LARGEST:
        raise InvalidModel(f"Its .onnx is larger than the {LARGEST:,} bytes that are opened.")
    with stream_file(onnx.key, onnx.sha256) as (pieces, size):
        predictor = SandboxedPredictor.open(
            pieces, size, limits=sandbox_limits(), image_classes=model.classes_to_tell
        )
    try:
        metadata = predictor.metadata
        if metadata.task_type != model.task_type:
            raise InvalidModel(f"Its .onnx is for {metadata.task_type}, its entry says {model.task_type}.")
        if model.task_type == TaskType.IMAGE and list(metadata.classes) != model.classes:
            raise InvalidModel("Its .onnx names other classes than its entry, or in another order.")
        predictor.predict([_grey_image() if model.task_type == TaskType.IMAGE else "a"])
    finally:
        predictor.close()
    if not predictor.is_without_network:
        logger.info("sandbox.has_network", hint="this system does not allow to go without")
    return list(metadata.classes)


def _grey_image() -> bytes:
    """Return a picture that any image model has something to say about."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(buffer, "PNG")
    return buffer.getvalue()
