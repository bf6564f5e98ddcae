"""A model as an entry of inference.json."""

from datetime import UTC

from documents.merge import Json
from documents.schemas import DATE_FORMAT

from .models import Artifact, RegisteredModel, TaskType


def render_entry(model: RegisteredModel) -> Json:
    """Return a model's entry; keys as the documents' format names them."""
    files = {artifact.kind: artifact.key for artifact in model.artifacts.all()}
    entry: dict[str, object] = {
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
        "created": model.live_at.astimezone(UTC).strftime(DATE_FORMAT),
    }


def render_project_entry(production: RegisteredModel) -> Json:
    """Return the entry of a project's token: its production version's, and which version that is."""
    return render_entry(production) | {"version": production.version}
