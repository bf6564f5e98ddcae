"""A file of the bucket on this machine's disk, whole and proven to be the one that is meant."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from core.exceptions import BucketError
from documents.store import get_store

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
    with get_store().open(key) as source, path.open("wb") as target:
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
