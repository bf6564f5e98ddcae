"""The uploads that a revision names, fetched once: a machine keeps them by their digest for the next job."""

from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from bucket.files import WrongFile, download
from bucket.kept_files import provide, prune
from work.attempt import HopelessAttempt

from ..datasets.models import Dataset
from ..engine.request import Shard
from ..examples.models import Revision
from ..examples.revisions import shards_of


def fetch_revision(
    revision: Revision, folder: Path, check: Callable[[], None]
) -> tuple[Path, tuple[Shard, ...]]:
    """Return a revision's manifest, and the uploads that it names, in a folder. `check` may raise to stop.

    Raises `HopelessAttempt` for files that are not those that were written.
    """
    manifest = folder / "manifest.parquet"
    try:
        download(revision.key, manifest, sha256=revision.sha256, limit=revision.size, check=check)
    except WrongFile as error:
        raise _gone(f"The list of {revision}") from error
    return manifest, fetch_shards(revision, folder, check)


def fetch_shards(revision: Revision, folder: Path, check: Callable[[], None]) -> tuple[Shard, ...]:
    """Return the uploads that a revision names, in a folder. Raises `HopelessAttempt` as `fetch_revision` does."""
    shards = []
    for number, dataset in enumerate(shards_of(revision)):
        path = folder / f"shard-{number}{Path(dataset.key).suffix}"
        provide_upload(dataset, path, check)
        shards.append(Shard(dataset.sha256, str(path), dataset.columns, dataset.corrections))
    return tuple(shards)


def provide_upload(dataset: Dataset, path: Path, check: Callable[[], None]) -> None:
    """Let an upload be at `path`: the copy that this machine keeps, or one from the bucket, which is kept then.

    Raises `HopelessAttempt` where it is another file than the one that was checked.
    """
    try:
        provide(dataset.key, path, kept_folder(), sha256=dataset.sha256, size=dataset.size, check=check)
    except WrongFile as error:
        raise _gone(f"The data set {dataset.name}") from error
    prune(kept_folder(), settings.TRAINYARD["KEPT_UPLOADS_BYTES"])


def kept_folder() -> Path:
    """Return where the copies lie."""
    return Path(settings.HOME) / "shards"


def _gone(what: str) -> HopelessAttempt:
    return HopelessAttempt(
        f"{what} has changed in the bucket since it was checked, or is gone. Upload it again."
    )
