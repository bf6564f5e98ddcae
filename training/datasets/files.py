"""Where a data set lies in the bucket, and what identifies its content."""

import hashlib
from pathlib import Path

DATASETS = "training/datasets/"


def dataset_key(identifier: str, suffix: str) -> str:
    """Return where an uploaded data set lies; nothing of its user-given name but a known suffix."""
    return f"{DATASETS}{identifier}/dataset{suffix}"


def repacked_key(key: str, attempt: int) -> str:
    """Return where a data set lies whose file an attempt has made into a zip after the upload."""
    return f"{key.rpartition('/')[0]}/images-{attempt}.zip"


def hash_file(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
