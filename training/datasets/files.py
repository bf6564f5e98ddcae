"""Where a data set lies in the bucket, and what identifies its content."""

import hashlib
from pathlib import Path

from bucket.factory import get_bucket

DATASETS = "training/datasets/"


def dataset_key(identifier: str, suffix: str) -> str:
    """Return where an uploaded data set lies; nothing of its user-given name but a known suffix."""
    return f"{DATASETS}{identifier}/dataset{suffix}"


def repacked_key(key: str, attempt: int) -> str:
    """Return where a data set lies whose file an attempt has made into a zip after the upload."""
    return f"{key.rpartition('/')[0]}/images-{attempt}.zip"


def delete_files(key: str) -> None:
    """Delete a data set's file, and what attempts that were killed have left beside it. Raises `BucketError`."""
    folder = _folder(key)
    if folder:
        get_bucket().delete_folder(folder)
    else:
        get_bucket().delete(key)


def delete_leftovers(key: str) -> None:
    """Delete what lies beside a data set's file: its older forms, also of killed attempts. Raises `BucketError`."""
    bucket, folder = get_bucket(), _folder(key)
    for other, _ in list(bucket.list(folder)) if folder else ():
        if other != key:
            bucket.delete(other)


def _folder(key: str) -> str:
    """Return the folder that is a data set's alone; "" for a key that has none."""
    identifier, slash, _ = key.removeprefix(DATASETS).rpartition("/")
    return f"{DATASETS}{identifier}/" if key.startswith(DATASETS) and identifier and slash else ""


def hash_file(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
