"""Versions of a project: a finished training becomes the next one, and one of them is in production."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from core.exceptions import Conflict, InvalidRequest
from documents import keys
from documents.outbox import mark_changed

from ..artifacts.model_metrics import ModelMetrics
from ..lifetimes import expiry_of_new, note_production
from ..models import PRODUCTION, Alias, AliasMove, Artifact, Project, RegisteredModel
from ..selectors import production_of

logger = structlog.get_logger(__name__)

MOVES_LOOKED_AT = 1000


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
    now = timezone.now()
    model = RegisteredModel(
        **{**vars(description), "classes": list(description.classes)},
        version=last + 1,
        live_at=now,
        expires_at=expiry_of_new(now, project.retention),
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
        model.refresh_from_db(fields=["expires_at"])
    return model


@transaction.atomic
def promote_version(
    *,
    project: Project,
    version: int,
    by: User | None = None,
    expected: int | None = None,
    why: str = "",
    kind: AliasMove.Kind = AliasMove.Kind.PROMOTION,
) -> RegisteredModel:
    """Make a version the one that answers the project's token; nothing happens when it is already.

    `expected` is the version that the caller believes to be in production now: `Conflict` when it is another.
    Raises `InvalidRequest` for a version that cannot answer.
    """
    project = locked(project)
    before = production_of(project)
    if expected is not None and (before.version if before else 0) != expected:
        now = f"version {before.version}" if before else "no version"
        raise Conflict(f"Somebody else has changed it meanwhile: {now} is in production. Look again.")
    model = _promotable(project, version)
    if before != model:
        move_alias(project, PRODUCTION, model, kind=kind, by=by, why=why)
    return model


@transaction.atomic
def roll_back(
    *, project: Project, by: User | None = None, expected: int | None = None, why: str = ""
) -> RegisteredModel:
    """Put the version into production again that was there before the present one was promoted.

    Done once more, it goes one promotion further back. Raises what `promote_version` raises.
    """
    project = locked(project)
    before = production_of(project)
    if before is None or (expected is not None and before.version != expected):
        now = f"version {before.version}" if before else "no version"
        raise Conflict(f"Somebody else has changed it meanwhile: {now} is in production. Look again.")
    target = previous_version(project)
    if target is None:
        raise InvalidRequest(f"No version was in production before version {before.version}.")
    model = _promotable(project, target.version)
    move_alias(project, PRODUCTION, model, kind=AliasMove.Kind.ROLL_BACK, by=by, why=why)
    return model


def previous_version(project: Project) -> RegisteredModel | None:
    """Return the version that a roll-back leads to: the latest before the present one that still answers."""
    now = production_of(project)
    moves = AliasMove.objects.filter(project=project, name=PRODUCTION, from_model__isnull=False)
    promotions = moves.exclude(kind=AliasMove.Kind.ROLL_BACK).order_by("-id")
    came_from: dict[int | None, int | None] = {}
    for to_model, from_model in promotions.values_list("to_model", "from_model")[:MOVES_LOOKED_AT]:
        came_from.setdefault(to_model, from_model)  # the last time that it was promoted
    seen, at = {now.pk if now else None}, came_from.get(now.pk if now else None)
    serving = set(project.versions.serving().values_list("pk", flat=True))
    while at is not None and at not in seen:
        if at in serving:
            return RegisteredModel.objects.get(pk=at)
        seen.add(at)
        at = came_from.get(at)
    return None


def locked(project: Project) -> Project:
    """Return the project's row, locked until the transaction ends. Raises `InvalidRequest` for a deleted one."""
    row = Project.objects.current().select_for_update().filter(pk=project.pk).first()
    if row is None:
        raise InvalidRequest(f"{project.name} was deleted.")
    return row


def _promotable(project: Project, version: int) -> RegisteredModel:
    """Return a version that can answer; its row stays locked, so that the clean-up does not take it meanwhile."""
    model = project.versions.select_for_update().filter(version=version).first()
    if model is None:
        raise InvalidRequest(f"{project.name} has no version {version}.")
    if not model.is_serving:
        raise InvalidRequest(f"Version {version} is not live any more. Restore it first, or choose another.")
    if model.unusable_because:
        raise InvalidRequest(f"Version {version} cannot predict: {model.unusable_because}")
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
        note_production(came=model.pk if model else None, went=before, now=timezone.now())
        mark_changed(keys.INFERENCE, project.token)
    logger.info(
        "alias.moved", project=project.pk, alias=name, model=model.pk if model else None, kind=str(kind)
    )


def remove_aliases(models: Collection[int]) -> None:
    """Take every alias off models that are being deleted; called in the transaction that marks them."""
    for alias in Alias.objects.filter(model__in=models).select_related("project"):
        why = "its version was deleted"
        move_alias(alias.project, alias.name, None, kind=AliasMove.Kind.REMOVAL, why=why)
