"""The clean-up: which models go, and the order in which they go.

A model leaves in four steps, each of which may be repeated after a crash: a tombstone in the
database (it can no longer be used or restored), the document without it, its files, and at last
its row, which stays as history. Nobody ever reads of a model whose files are gone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from bucket.factory import get_bucket
from control.selectors import is_halted
from core.exceptions import BucketError
from documents import keys
from documents.outbox import mark_changed
from documents.publish import publish_or_raise
from documents.schemas import CleanupDocument

from .models import RegisteredModel
from .projects.versions import remove_aliases

logger = structlog.get_logger(__name__)

BATCH = 200


class UnreadablePolicy(BucketError):
    """cleanup.json is there and cannot be understood: nothing may be deleted."""


@dataclass
class CleanupReport:
    """What a clean-up did, or, for a dry run, would do. Tokens by what happened to their models."""

    reason: str = ""
    deleted: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    pinned: int = 0
    bytes: int = 0


def clean_up(*, dry_run: bool = False) -> CleanupReport:
    """Delete expired and retired models, when cleanup.json says `active`.

    Raises `UnreadablePolicy` when the document cannot be read, `BucketError` when the bucket fails.
    """
    report = CleanupReport(reason=_reason_to_wait())
    now = timezone.now()
    report.pinned = RegisteredModel.objects.live().filter(pinned=True, expires_at__lte=now).count()
    if report.reason:
        return report
    due = RegisteredModel.objects.expired(now) | RegisteredModel.objects.awaiting_deletion(now)
    if dry_run:
        for model in due.prefetch_related("artifacts"):
            report.deleted.append(model.token)
            report.bytes += sum(artifact.size for artifact in model.artifacts.all())
        return report
    for batch in _batches(list(due.values_list("pk", flat=True))):
        _tombstone(batch)
        publish_or_raise(keys.INFERENCE)
        _delete_files(batch, report)
    return report


def _reason_to_wait() -> str:
    """Return why nothing may be deleted now; empty when it may. The document decides, not the table."""
    if is_halted():
        return "the platform is halted for maintenance"
    stored = get_bucket().get(keys.CLEANUP)
    if stored is None:
        return "there is no cleanup.json"
    try:
        status = CleanupDocument.model_validate(json.loads(stored.body)).status
    except (ValueError, ValidationError) as error:
        raise UnreadablePolicy(
            f"cleanup.json cannot be understood, so nothing was deleted: {error}"
        ) from error
    return "" if status == "active" else "cleanup.json says sleeping"


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


@transaction.atomic
def _tombstone(ids: list[int]) -> None:
    """Tombstone those that are still due: a model pinned or extended a moment ago is spared."""
    now = timezone.now()
    still_due = RegisteredModel.objects.expired(now) | RegisteredModel.objects.awaiting_deletion(now)
    buried = list(still_due.select_for_update().filter(pk__in=ids).values_list("pk", "token"))
    RegisteredModel.objects.filter(pk__in=[pk for pk, _ in buried]).update(
        state=RegisteredModel.State.DELETING, retired_at=now
    )
    if buried:
        mark_changed(keys.INFERENCE, *(token for _, token in buried))
        remove_aliases([pk for pk, _ in buried])


def _delete_files(ids: list[int], report: CleanupReport) -> None:
    bucket = get_bucket()
    dying = RegisteredModel.objects.filter(pk__in=ids, state=RegisteredModel.State.DELETING)
    for model in dying.prefetch_related("artifacts"):
        try:
            for artifact in model.artifacts.all():
                bucket.delete(artifact.key)
        except BucketError as error:  # the next run tries again
            logger.warning("cleanup.files_left", model=model.pk, error=str(error))
            report.failed[model.token] = str(error)
            continue
        report.bytes += sum(artifact.size for artifact in model.artifacts.all())
        with transaction.atomic():
            model.artifacts.all().delete()
            RegisteredModel.objects.filter(pk=model.pk).update(state=RegisteredModel.State.DELETED)
        report.deleted.append(model.token)
        logger.info("cleanup.deleted", model=model.pk)
