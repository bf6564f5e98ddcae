"""What can be done with a registered model. Each function is one transaction."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core.exceptions import InvalidRequest

from .models import UNCHECKED, RegisteredModel
from .selectors import missing_files


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
