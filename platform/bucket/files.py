"""Files of the bucket that are no documents: fetched whole and proven, deleted by the folder."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from django.core.files.storage import storages

from core.exceptions import BucketError

from .factory import get_bucket

PIECE = 1 << 20  # bytes


class WrongFile(BucketError):
    """The bucket holds another file under this key than the one that is meant."""


def download(
    key: str, path: Path, *, sha256: str, limit: int, check: Callable[[], None] = lambda: None
) -> None:
    """Copy a file to `path` in memory of one piece, and compare its SHA-256 (hexadecimal, in lower case).

    `check` is called before each piece and may raise to stop. Raises `WrongFile` when the file is
    missing, another one, or has more than `limit` bytes; `BucketError` when the bucket does not answer.
    """
    digest, size = hashlib.sha256(), 0
    with get_bucket().open(key) as source, path.open("wb") as target:
        if source is None:
            raise WrongFile(f"There is no {key} in the bucket.")
        while piece := source.read(PIECE):
            check()
            size += len(piece)
            if size > limit:
                raise WrongFile(f"{key} has more than the {limit:,} bytes that it should have.")
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != sha256:
        raise WrongFile(f"{key} in the bucket is not the file that is meant: its SHA-256 is another.")


def delete_prefix(prefix: str) -> int:
    """Delete every file below a prefix; returns how many there were."""
    storage = storages["default"]
    try:
        folders, files = storage.listdir(prefix)
    except FileNotFoundError:
        return 0
    for name in files:
        storage.delete(f"{prefix}{name}")
    deleted = len(files) + sum(delete_prefix(f"{prefix}{folder}/") for folder in folders)
    with contextlib.suppress(OSError):  # a bucket folder that is in use again
        storage.delete(prefix)
    return deleted
