"""What can be done with a registered model. Each function is one transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from control.models import CleanupPolicy
from core.exceptions import InvalidRequest

from .artifacts.model_metrics import ModelMetrics
from .models import UNCHECKED, Artifact, RegisteredModel
from .selectors import missing_files

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
    """Make a model live with its files; it expires as the clean-up policy says now."""
    now, retention = timezone.now(), CleanupPolicy.load().retention
    model = RegisteredModel(
        **{**vars(description), "classes": list(description.classes)},
        live_at=now,
        expires_at=now + retention if retention else None,
    )
    model.full_clean(exclude=["owner"])
    model.save()
    Artifact.objects.bulk_create(Artifact(model=model, **vars(file)) for file in files)
    logger.info("model.live", model=model.pk, task_type=model.task_type, accuracy=round(model.accuracy, 2))
    return model


@transaction.atomic
def retire_model(*, model: RegisteredModel) -> None:
    """Take a model out of service; until the next clean-up it can be restored."""
    changed = RegisteredModel.objects.live().filter(pk=model.pk)
    if not changed.update(state=RegisteredModel.State.RETIRED, retired_at=timezone.now()):
        raise InvalidRequest(f"{model.name} is not live, so it cannot be deleted.")
    model.refresh_from_db()
    model.save()


def restore_model(*, model: RegisteredModel) -> None:
    """Bring a retired model back, with at least an hour to live.

    Raises `InvalidRequest` when its files are gone, whoever deleted them; `BucketError` when that cannot be told.
    """
    retired = RegisteredModel.objects.filter(pk=model.pk, state=RegisteredModel.State.RETIRED)
    missing = missing_files(model) if retired.exists() else []  # asked before the table is locked
    if missing:
        kinds = ", ".join(str(file.get_kind_display()) for file in missing)
        raise InvalidRequest(
            f"{model.name} cannot be restored: its files in the bucket are gone or others ({kinds}). "
            "Train it once more, or put them back from a backup."
        )
    with transaction.atomic():
        if not retired.update(state=RegisteredModel.State.LIVE, retired_at=None, retired_by_document=False):
            raise InvalidRequest(f"{model.name} is gone: the clean-up has deleted its files.")
        model.refresh_from_db()
        if model.expires_at is not None:
            model.expires_at = max(model.expires_at, timezone.now() + timedelta(hours=1))
        model.save()


@transaction.atomic
def keep_model(*, model: RegisteredModel, extra: timedelta) -> None:
    """Let a live model live longer, counted from now or from its expiry, whichever is later.

    Raises `InvalidRequest` beyond `MAX_KEEP` from now, whoever asks: what shall live longer gets an expiry from an
    operator, or is pinned.
    """
    live = RegisteredModel.objects.live().select_for_update().filter(pk=model.pk).first()
    if live is None:
        raise InvalidRequest(f"{model.name} is not live any more.")
    if live.expires_at is not None:
        now, most = timezone.now(), settings.TRAINYARD["MAX_KEEP"]
        if max(live.expires_at, now) - now + extra > most:
            raise InvalidRequest(f"A model can be kept for {most.days} days from now at most.")
        live.expires_at = max(live.expires_at, now) + extra
        live.save()
    model.refresh_from_db()


@transaction.atomic
def forgive_model(*, model: RegisteredModel) -> None:
    """Let a model that was switched off for breaking limits predict again; external files are checked first."""
    switched_off = RegisteredModel.objects.live().exclude(unusable_because="").filter(broken_limits__gt=0)
    news = {
        "broken_limits": 0,
        "checked_at": None,
        "unusable_because": UNCHECKED if model.is_external else "",
    }
    if not switched_off.filter(pk=model.pk).update(**news):
        raise InvalidRequest(f"{model.name} has not been switched off for breaking limits.")
    model.refresh_from_db()


@transaction.atomic
def change_model(*, model: RegisteredModel, changes: Mapping[str, object]) -> None:
    """Give fields of a live model other values. Raises `InvalidRequest` when it is not live any more."""
    live = RegisteredModel.objects.live().select_for_update().filter(pk=model.pk).first()
    if live is None:
        raise InvalidRequest(f"{model.name} is not live any more.")
    for name, value in changes.items():
        setattr(live, name, value)
    live.clean_fields(exclude={field.name for field in live._meta.fields} - changes.keys())
    live.save()
    model.refresh_from_db()
