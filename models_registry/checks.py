"""Look at the files of models that others made: are they there, and do they predict?

A model whose files cannot be used stays in the registry and in its document, with the reason beside
it, and is looked at again: its files may come later than its entry.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import structlog
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from core.exceptions import BucketError
from core.periodic import describe, for_each
from core.text import is_storable, storable
from documents.store import get_store

from .artifacts import InvalidModel, Predictor
from .models import Artifact, RegisteredModel, TaskType

logger = structlog.get_logger(__name__)

AT_ONCE = 20
AGAIN_AFTER = timedelta(minutes=5)
LARGEST = 2**30  # bytes of an .onnx that is opened


def check_imported_models() -> int:
    """Look at models whose files were not usable so far; returns how many became usable.

    Each try is noted before the work, and the model that was tried longest ago comes first: one whose
    file brings the process down, or takes long, does not keep the others waiting. Raises `SomeFailed`.
    """
    due = Q(checked_at__isnull=True) | Q(checked_at__lt=timezone.now() - AGAIN_AFTER)
    models = RegisteredModel.objects.live().filter(due).exclude(unusable_because="")
    return for_each(models.order_by(F("checked_at").asc(nulls_first=True))[:AT_ONCE], _check)


def _check(model: RegisteredModel) -> bool:
    """Look at one model's files and note what was found, unless its entry has changed meanwhile.

    Raises `BucketError` when the bucket does not answer; whatever else goes wrong is the files' fault.
    """
    RegisteredModel.objects.filter(pk=model.pk).update(checked_at=timezone.now())
    artifacts = list(model.artifacts.all())
    reasons = [reason for artifact in artifacts for reason in _measure(artifact)]
    classes: list[str] = []
    if not reasons:
        try:
            classes = _open(model, artifacts)
        except InvalidModel as error:
            reasons.append(storable(error))
        except (BucketError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a native library may panic, which is no Exception
            logger.warning("model.check_crashed", model=model.pk, error=describe(error))
            reasons.append(f"Its files cannot be opened: {describe(error)}.")
    if not is_storable(classes):
        reasons.append("Its classes have names that cannot be stored (NUL or half a surrogate pair).")
    with transaction.atomic():
        unchanged = RegisteredModel.objects.filter(pk=model.pk, updated_at=model.updated_at)
        news: dict[str, Any] = {"unusable_because": " ".join(reasons), "checked_at": timezone.now()}
        if classes and not model.classes and not reasons:
            news["classes"] = classes
        if not unchanged.update(**news):
            return False
        Artifact.objects.bulk_update(artifacts, ["size", "sha256"])
    logger.info("model.checked", model=model.pk, usable=not reasons)
    return not reasons


def _measure(artifact: Artifact) -> Iterator[str]:
    """Fill in a file's size and SHA-256; yields what is wrong with it."""
    digest, size = hashlib.sha256(), 0
    with get_store().open(artifact.key) as file:
        if file is None:
            yield f"{artifact.key} is not in the bucket."
            return
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    artifact.size, artifact.sha256 = size, digest.hexdigest()


def _open(model: RegisteredModel, artifacts: list[Artifact]) -> list[str]:
    """Return the classes of a model that predicts. Raises `InvalidModel`."""
    onnx = next((artifact for artifact in artifacts if artifact.kind == Artifact.Kind.ONNX), None)
    if onnx is None:
        raise InvalidModel("It has no .onnx file, which predicting needs. Train the data set here.")
    if onnx.size > LARGEST:
        raise InvalidModel(f"Its .onnx is larger than the {LARGEST:,} bytes that are opened.")
    with storages["default"].open(onnx.key) as file:
        content: bytes = file.read()
    if hashlib.sha256(content).hexdigest() != onnx.sha256:
        raise InvalidModel("Its .onnx changed while it was read.")
    _refuse_external_data(content)
    metadata = Predictor.from_bytes(content, threads=1, image_classes=model.classes_to_tell).metadata
    if metadata.task_type != model.task_type:
        raise InvalidModel(f"Its .onnx is for {metadata.task_type}, its entry says {model.task_type}.")
    if model.task_type == TaskType.IMAGE and list(metadata.classes) != model.classes:
        raise InvalidModel("Its .onnx names other classes than its entry, or in another order.")
    return list(metadata.classes)


def _refuse_external_data(content: bytes) -> None:
    """Raise `InvalidModel` for a file that would make the runtime read other files."""
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own exceptions
        raise InvalidModel("Its .onnx is no ONNX file.") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        raise InvalidModel("Its .onnx keeps weights in other files, which is not allowed.")


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor that a graph holds, in whichever corner of it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            if inner.node:
                yield from _tensors(inner)
