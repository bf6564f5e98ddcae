"""How live models appear in inference.json."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from documents import keys
from documents.merge import Json
from documents.projections import EntriesProjection
from documents.schemas import InferenceDocument

from .models import Artifact, RegisteredModel, TaskType


class InferenceProjection(EntriesProjection):
    """The live models by token."""

    key = keys.INFERENCE
    schema = InferenceDocument

    def render(self, entries: Iterable[str] | None) -> dict[str, Json]:
        models = RegisteredModel.objects.live().prefetch_related("artifacts")
        if entries is not None:
            models = models.filter(token__in=list(entries))
        return {model.token: render_entry(model) for model in models}


def render_entry(model: RegisteredModel) -> Json:
    """Return a model's entry; keys as the documents' format names them."""
    files = {artifact.kind: artifact.key for artifact in model.artifacts.all()}
    entry: dict[str, Any] = {
        "task_type": model.task_type,
        "model_filename": files.get(Artifact.Kind.TORCHSCRIPT, ""),
        "model_filename_onnx": files.get(Artifact.Kind.ONNX, ""),
    }
    if model.task_type == TaskType.IMAGE:
        entry["classes"] = model.classes
    else:
        entry["metadata_filename"] = files.get(Artifact.Kind.METADATA, "")
    return entry | {
        "downloadable": model.downloadable,
        "accuracy": round(model.accuracy, 2),
        "accuracy_plot": model.accuracy_plot,
        "created": model.live_at.astimezone(UTC).strftime("%d-%m-%y %H:%M"),
    }
