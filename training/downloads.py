"""A file of the bucket on this machine's disk, whole and proven to be the one that is meant."""

import hashlib
from pathlib import Path

from django.core.files.storage import storages

from core.exceptions import BucketError

PIECE = 1 << 20


class WrongFile(BucketError):
    """The bucket holds another file under this key than the one that is meant."""


def download(key: str, path: Path, *, sha256: str, limit: int) -> None:
    """Copy a file to `path` and compare its SHA-256 (hexadecimal, in lower case).

    Raises `WrongFile` when it is missing, another one, or has more than `limit` bytes; `BucketError`
    when the bucket does not answer.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with storages["default"].open(key) as source, path.open("wb") as target:
            for piece in source.chunks(PIECE):
                size += len(piece)
                if size > limit:
                    raise WrongFile(f"{key} has more than the {limit:,} bytes that a data set may have.")
                digest.update(piece)
                target.write(piece)
    except FileNotFoundError as error:
        raise WrongFile(f"There is no {key} in the bucket.") from error
    if digest.hexdigest() != sha256:
        raise WrongFile(f"{key} in the bucket is not the file that is meant: its SHA-256 is another.")
