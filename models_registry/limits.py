"""What a model may take, and what becomes of one that takes more."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db.models import F

from bucket.base import Reader
from bucket.factory import get_bucket
from core.exceptions import BucketError

from .artifacts.sandbox import SandboxLimits
from .models import RegisteredModel

logger = structlog.get_logger(__name__)

MOST_BROKEN = 2  # limits that a model may break before it is flagged


def sandbox_limits() -> SandboxLimits:
    """Return what a model from outside may take."""
    limits = settings.TRAINYARD
    return SandboxLimits(
        seconds=limits["EXTERNAL_MODEL_SECONDS"], memory=limits["EXTERNAL_MODEL_MEMORY_BYTES"]
    )


def note_broken_limit(model_id: int, because: str) -> bool:
    """Count that a model broke a limit; says whether that was once too often, and it is unusable from now on."""
    models = RegisteredModel.objects.filter(pk=model_id)
    models.update(broken_limits=F("broken_limits") + 1)
    reason = f"It was switched off after it had broken the limits of a run {MOST_BROKEN} times. {because}"
    flagged = models.filter(broken_limits__gte=MOST_BROKEN)
    is_flagged = bool(flagged.filter(unusable_because="").update(unusable_because=reason))
    logger.warning("model.broke_limit", model=model_id, because=because, flagged=is_flagged)
    return is_flagged


@contextmanager
def stream_file(key: str, sha256: str) -> Iterator[tuple[Iterable[bytes], int]]:
    """Yield a file of the bucket in pieces, and its size; the whole is never in memory.

    Raises `BucketError` when it cannot be read, or, at its end, when it has another SHA-256.
    """
    try:
        file = get_bucket().open(key)
    except BucketError as error:  # its words name the key
        raise BucketError("The model's file cannot be fetched from the bucket now. Try again.") from error
    with file:
        yield _checked(file, sha256), file.size


def _checked(file: Reader, sha256: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        for piece in file:
            digest.update(piece)
            yield piece
    except BucketError as error:
        raise BucketError("The model's file cannot be fetched from the bucket now. Try again.") from error
    if digest.hexdigest() != sha256:
        raise BucketError("The model's file in the bucket is not the one that was published. Train it again.")
