"""Features that a project's earlier trainings have computed: fetched before a training, stored after it."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog
from django.conf import settings

from bucket.files import WrongFile
from bucket.kept_files import keep, provide, prune
from core.exceptions import BucketError

from ..engine.feature_files import merge_files, open_records
from ..engine.request import FeatureSource, TrainingResult
from ..engine.specs.strategies import find_strategy
from ..examples.models import FeatureFile
from ..examples.stored_features import (
    count_used,
    features_of,
    mark_used,
    remove,
    store_features,
    used_digests,
)
from ..jobs.models import TrainingJob

logger = structlog.get_logger(__name__)

MOST_FILES = 8  # of a project and a network; more are merged
LEAST_USED = 0.5  # of the features in files, the share that examples still name


def fetch_features(job: TrainingJob, folder: Path, check: Callable[[], None]) -> tuple[FeatureSource, ...]:
    """Return files with what is known of the job's examples; one that cannot be had is left out.

    None for a strategy that trains the network itself, which has to see every example. `check` may raise to stop.
    """
    if find_strategy(job.strategy).trains_network:
        return ()
    found, used = [], []
    for number, row in enumerate(features_of(job.project, job.architecture)):
        path = folder / f"features-{number}.npy"
        try:
            provide(row.key, path, kept_folder(), sha256=row.sha256, size=row.size, check=check)
        except WrongFile as error:  # it is gone, and will not come back
            logger.warning("features.unusable", key=row.key, error=str(error))
            row.delete()
        except BucketError as error:
            logger.warning("features.not_fetched", key=row.key, error=str(error))
        else:
            found.append(FeatureSource(str(path), row.fingerprint))
            used.append(row)
    mark_used(used)
    prune(kept_folder(), settings.TRAINYARD["KEPT_FEATURES_BYTES"])
    return tuple(found)


def keep_features(job: TrainingJob, result: TrainingResult, folder: Path) -> None:
    """Store what a training has computed, and merge the files where there are many; what fails costs time only."""
    if not result.features:
        return
    with contextlib.suppress(BucketError):
        path = folder / "output" / result.features
        _store(job, result.fingerprint, path, len(open_records(path)))
        _merge(job, result.fingerprint, folder)


def kept_folder() -> Path:
    """Return where copies of the files lie on this machine."""
    return Path(settings.HOME) / "features"


def _store(job: TrainingJob, fingerprint: str, path: Path, examples: int) -> FeatureFile | None:
    row = store_features(
        project=job.project, backbone=job.architecture, fingerprint=fingerprint, path=path, examples=examples
    )
    if row is not None:
        keep(path, kept_folder(), row.sha256)
    return row


def _merge(job: TrainingJob, fingerprint: str, folder: Path) -> None:
    """Make one file of many, or of those of which half is of no use any more; drops what no example names."""
    rows = [row for row in features_of(job.project, job.architecture) if row.fingerprint == fingerprint]
    used = count_used(job.project)
    if len(rows) <= MOST_FILES and used >= LEAST_USED * sum(row.examples for row in rows):
        return
    wanted = used_digests(job.project)
    paths = []
    for number, row in enumerate(rows):
        paths.append(folder / f"merged-{number}.npy")
        provide(row.key, paths[-1], kept_folder(), sha256=row.sha256, size=row.size)
    target = folder / "merged.npy"
    count = merge_files(paths, target, wanted.__contains__, lambda: None)
    if count and _store(job, fingerprint, target, count) is not None:
        remove(rows)
