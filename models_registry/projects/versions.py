"""Versions of a project: a finished training becomes the next one, and one of them is in production."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from control.models import CleanupPolicy
from documents import keys
from documents.outbox import mark_changed

from ..artifacts.model_metrics import ModelMetrics
from ..models import PRODUCTION, Alias, AliasMove, Artifact, Project, RegisteredModel

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """A file that lies in the bucket and was checked there: kind, key, bytes, SHA-256."""

    kind: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelDescription:
    """What training knows of a finished model. `accuracy` is percent, 0 to 100."""

    token: str
    public_id: uuid.UUID
    project_id: int
    name: str
    owner_id: int | None
    task_type: str
    architecture: str
    strategy: str
    classes: Sequence[str]
    downloadable: bool
    accuracy: float
    accuracy_plot: str
    metrics: ModelMetrics


@transaction.atomic
def publish_model(*, description: ModelDescription, files: Sequence[StoredFile]) -> RegisteredModel:
    """Make a model the next version of its project, live with its files.

    It is in production when nothing that answers is. It expires as the clean-up policy says now. In a project that was
    deleted meanwhile it is retired at once: it can be restored until the next clean-up.
    """
    project = Project.objects.select_for_update().get(pk=description.project_id)
    last = project.versions.aggregate(last=Max("version"))["last"] or 0
    now, retention = timezone.now(), CleanupPolicy.load().retention
    model = RegisteredModel(
        **{**vars(description), "classes": list(description.classes)},
        version=last + 1,
        live_at=now,
        expires_at=now + retention if retention else None,
    )
    if project.deleted_at is not None:
        model.state, model.retired_at = RegisteredModel.State.RETIRED, now
    model.full_clean(exclude=["owner", "project"])
    model.save()
    Artifact.objects.bulk_create(Artifact(model=model, **vars(file)) for file in files)
    logger.info(
        "model.live",
        model=model.pk,
        version=model.version,
        task_type=model.task_type,
        accuracy=round(model.accuracy, 2),
    )
    if model.is_live and not _is_in_service(project):
        move_alias(project, PRODUCTION, model, kind=AliasMove.Kind.FIRST)
    return model


def _is_in_service(project: Project) -> bool:
    """Tell whether the project has a production version that predicts."""
    return (
        RegisteredModel.objects.serving().filter(aliases__project=project, aliases__name=PRODUCTION).exists()
    )


def move_alias(
    project: Project,
    name: str,
    model: RegisteredModel | None,
    *,
    kind: str,
    by: User | None = None,
    why: str = "",
) -> None:
    """Let an alias of a project name another version, None for none, and note the move.

    Called in a transaction that holds the project's row.
    """
    alias = Alias.objects.filter(project=project, name=name).first()
    before = alias.model_id if alias else None
    if model is None:
        Alias.objects.filter(project=project, name=name).delete()
    else:
        Alias.objects.update_or_create(project=project, name=name, defaults={"model": model})
    AliasMove.objects.create(
        project=project, name=name, from_model_id=before, to_model=model, kind=kind, by=by, why=why
    )
    if name == PRODUCTION:
        mark_changed(keys.INFERENCE, project.token)
    logger.info(
        "alias.moved", project=project.pk, alias=name, model=model.pk if model else None, kind=str(kind)
    )
