"""Features in the bucket, by project and network: what is kept of them, within which bounds, and what goes.

They are a cache. A file that is missing, or cannot be stored, costs the next training time and nothing else.
"""

import uuid
from collections.abc import Iterable
from pathlib import Path

import structlog
from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from accounts.quota import Kept, storage_of
from bucket.factory import get_bucket
from bucket.files import upload
from control.selectors import is_halted
from core.periodic import for_each
from documents.drift import KnownFiles
from models_registry.models import Project

from ..datasets.files import hash_file
from .files import folder_of
from .models import Example, FeatureFile

logger = structlog.get_logger(__name__)

REMOVED_AT_ONCE = 200  # files


def features_of(project: Project, backbone: str) -> list[FeatureFile]:
    """Return the files with features of a project's examples by one network, the oldest first."""
    return list(FeatureFile.objects.filter(project=project, backbone=backbone))


def store_features(
    *, project: Project, backbone: str, fingerprint: str, path: Path, examples: int
) -> FeatureFile | None:
    """Put a file with features into the bucket, for which others of the project may have to go.

    None where there is no room for it, or the project was deleted meanwhile. Raises `BucketError`.
    """
    size, bounds = path.stat().st_size, settings.TRAINYARD
    if size > bounds["FEATURES_BYTES_PER_PROJECT"] or size > storage_of(project.owner_id).left:
        return None
    key = f"{folder_of(project)}features/{uuid.uuid4().hex}.npy"
    # The row first: an object that no row names would stay for good.
    row = FeatureFile.objects.create(
        project=project,
        backbone=backbone,
        fingerprint=fingerprint,
        key=key,
        size=size,
        sha256=hash_file(path),
        examples=examples,
    )
    try:
        upload(path, key)
    except BaseException:
        row.delete()
        raise
    own = FeatureFile.objects.filter(project=project)
    remove(_beyond(own, bounds["FEATURES_BYTES_PER_PROJECT"]))
    logger.info("features.stored", project=project.pk, examples=examples, bytes=size)
    return row if own.filter(pk=row.pk).exists() else None


def remove(rows: Iterable[FeatureFile]) -> None:
    """Delete files: the object first, so that none is left behind. Raises `BucketError`."""
    for row in rows:
        get_bucket().delete(row.key)
        row.delete()


def count_used(project: Project) -> int:
    """Return how many different examples trainings of a project may name."""
    return _used(project).values("sha256").distinct().count()


def used_digests(project: Project) -> set[bytes]:
    """Return their SHA-256."""
    rows = _used(project).values_list("sha256", flat=True)
    return set(map(bytes.fromhex, rows.iterator(chunk_size=20_000)))


def _used(project: Project) -> QuerySet[Example]:
    return Example.objects.filter(project=project, excluded=False).order_by()


def mark_used(rows: Iterable[FeatureFile]) -> None:
    """Note that files were of use: those used longest ago go first."""
    FeatureFile.objects.filter(pk__in=[row.pk for row in rows]).update(used_at=timezone.now())


def trim_features() -> int:
    """Delete the features of deleted projects, and those used longest ago beyond the platform's bound.

    Returns how many files went, none while halted. A periodic task. Raises `SomeFailed`.
    """
    if is_halted():
        return 0
    gone = list(FeatureFile.objects.filter(project__deleted_at__isnull=False)[:REMOVED_AT_ONCE])
    beyond = _beyond(FeatureFile.objects.all(), settings.TRAINYARD["FEATURES_BYTES"])
    return for_each({row.pk: row for row in (*gone, *beyond)}.values(), _remove_one)


def _remove_one(row: FeatureFile) -> bool:
    remove([row])
    return True


def _beyond(rows: QuerySet[FeatureFile], most: int) -> list[FeatureFile]:
    """Return the files used longest ago, without which the others have `most` bytes."""
    excess = rows.aggregate(bytes=Sum("size", default=0))["bytes"] - most
    found: list[FeatureFile] = []
    for row in rows.order_by("used_at", "id")[:REMOVED_AT_ONCE]:
        if excess <= 0:
            break
        found.append(row)
        excess -= row.size
    return found


def kept_features(owner_id: int | None) -> Kept:
    """Tell what the features of an account's projects take."""
    kept = FeatureFile.objects.filter(project__owner_id=owner_id)
    total = kept.aggregate(count=Count("pk"), bytes=Sum("size", default=0))
    return Kept(
        "Features, for training again",
        total["count"],
        total["bytes"],
        "inference:projects",
        "They go with their projects, and never keep anything else from being uploaded.",
        gives_way=True,
    )


def known_files() -> KnownFiles:
    """Return what may be there or not."""
    return KnownFiles({}, tuple(FeatureFile.objects.values_list("key", flat=True)))
