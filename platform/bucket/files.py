"""Uploads and downloads of whole files, verified by their SHA-256."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from core.exceptions import BucketError

from .base import Missing
from .factory import get_bucket


class WrongFile(BucketError):
    """The bucket holds a file with another SHA-256 or size under this key than the caller expects, or none."""


def download(
    key: str, path: Path, *, sha256: str, limit: int, check: Callable[[], None] = lambda: None
) -> None:
    """Copy a file to `path` in memory of one piece, and compare its SHA-256 (hexadecimal, in lower case).

    `check` is called before each piece and may raise to stop. Raises `WrongFile` when the file is
    missing, another one, or has more than `limit` bytes; `BucketError` when the bucket does not answer.
    """
    digest = hashlib.sha256()
    try:
        source = get_bucket().open(key)
    except Missing as error:
        raise WrongFile(str(error)) from error
    with source, path.open("wb") as target:
        if source.size > limit:
            raise WrongFile(f"{key} has more than the {limit:,} bytes that it should have.")
        for piece in source:
            check()
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != sha256:
        raise WrongFile(f"{key} in the bucket is not the file that is meant: its SHA-256 is another.")


def upload(path: Path, key: str) -> str:
    """Write a file into the bucket and read it back; returns the SHA-256 of what lies there.

    Raises `WrongFile` when that is another file, `BucketError` when the bucket does not answer.
    """
    bucket = get_bucket()
    with path.open("rb") as source:
        sent = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        bucket.save(key, source)
    found = hashlib.sha256()
    with bucket.open(key) as stored:
        for piece in stored:
            found.update(piece)
    if found.hexdigest() != sent:
        raise WrongFile(f"The bucket did not keep {key} as it was uploaded.")
    return sent
