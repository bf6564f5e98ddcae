"""Writes of the switches. Each function is one transaction; the documents follow through the outbox."""

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


@transaction.atomic
def switch_clean_up(*, on: bool) -> None:
    """Turn the clean-up on or off."""
    policy = CleanupPolicy.load()
    policy.status = CleanupPolicy.Status.ACTIVE if on else CleanupPolicy.Status.SLEEPING
    policy.save()
    logger.info("cleanup.switched", active=on)
