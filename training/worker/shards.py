"""The uploads that a revision names, fetched once: a machine keeps them by their digest for the next job."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog
from django.conf import settings

from bucket.files import WrongFile, download
from work.attempt import HopelessAttempt

from ..datasets.files import hash_file
from ..datasets.models import Dataset
from ..engine.request import Shard
from ..examples.models import Revision
from ..examples.revisions import shards_of

logger = structlog.get_logger(__name__)

KEPT_BYTES = 4 * 2**30  # of uploads, on this machine


def fetch_revision(
    revision: Revision, folder: Path, check: Callable[[], None]
) -> tuple[Path, tuple[Shard, ...]]:
    """Return a revision's manifest, and the uploads that it names, in a folder. `check` may raise to stop.

    Raises `HopelessAttempt` for files that are not those that were written.
    """
    manifest = folder / "manifest.parquet"
    _download(revision.key, manifest, revision.sha256, revision.size, f"The list of {revision}", check)
    shards = []
    for number, dataset in enumerate(shards_of(revision)):
        path = folder / f"shard-{number}{Path(dataset.key).suffix}"
        provide_upload(dataset, path, check)
        shards.append(Shard(dataset.sha256, str(path), dataset.columns, dataset.corrections))
    prune(kept_folder(), KEPT_BYTES)
    return manifest, tuple(shards)


def provide_upload(dataset: Dataset, path: Path, check: Callable[[], None]) -> None:
    """Let an upload be at `path`: the copy that this machine keeps, or one from the bucket, which is kept then."""
    kept = kept_folder() / f"{dataset.sha256}{path.suffix}"
    with contextlib.suppress(OSError):
        if kept.stat().st_size == dataset.size and hash_file(kept) == dataset.sha256:
            _link(kept, path)
            os.utime(kept)
            return
    _download(dataset.key, path, dataset.sha256, dataset.size, f"The data set {dataset.name}", check)
    with contextlib.suppress(OSError):  # without a copy the next job fetches it again
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        _link(path, draft)
        draft.replace(kept)


def kept_folder() -> Path:
    """Return where the copies lie."""
    return Path(settings.HOME) / "shards"


def prune(folder: Path, most: int) -> int:
    """Remove the copies that were used longest ago until the others have `most` bytes; returns how many went."""
    found = []
    for path in filter(Path.is_file, folder.glob("*")):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    left = sum(size for _, size, _ in found)
    removed = 0
    for _, size, path in sorted(found):
        if left <= most:
            break
        path.unlink(missing_ok=True)
        left, removed = left - size, removed + 1
    return removed


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _download(key: str, path: Path, sha256: str, size: int, what: str, check: Callable[[], None]) -> None:
    try:
        download(key, path, sha256=sha256, limit=size, check=check)
    except WrongFile as error:
        raise HopelessAttempt(
            f"{what} has changed in the bucket since it was checked, or is gone. Upload it again."
        ) from error
