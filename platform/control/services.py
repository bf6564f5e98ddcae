"""Writes of the switches. Each function is one transaction; the documents follow through the outbox."""

from datetime import timedelta

import structlog
from django.db import transaction

from .models import CleanupPolicy, PlatformStatus

logger = structlog.get_logger(__name__)


@transaction.atomic
def switch_maintenance(*, on: bool) -> None:
    """Turn maintenance mode on or off."""
    status = PlatformStatus.load()
    status.dev_mode = on
    status.save()
    logger.info("platform.switched", maintenance=on)


PRESETS: dict[str, dict[str, object]] = {
    "standard": {"retention": timedelta(days=30), "counts_from_use": True, "spares_production": True},
    "demo": {"retention": timedelta(hours=2), "counts_from_use": False, "spares_production": False},
}


@transaction.atomic
def use_retention_preset(name: str) -> None:
    """Set how long models live: `standard` keeps what is used, `demo` deletes everything two hours after its birth.

    Existing models keep their expiry. Raises `ValueError` that lists the known presets.
    """
    if name not in PRESETS:
        raise ValueError(f"No preset {name!r}. Known: {', '.join(PRESETS)}.")
    policy = CleanupPolicy.load()
    for field, value in PRESETS[name].items():
        setattr(policy, field, value)
    policy.save()
    logger.info("cleanup.preset", preset=name)


@transaction.atomic
def switch_clean_up(*, on: bool) -> None:
    """Turn the clean-up on or off."""
    policy = CleanupPolicy.load()
    policy.status = CleanupPolicy.Status.ACTIVE if on else CleanupPolicy.Status.SLEEPING
    policy.save()
    logger.info("cleanup.switched", active=on)
