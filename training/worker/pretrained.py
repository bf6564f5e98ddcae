"""Pretrained weights that an administrator put into the bucket, copied to where trainers look for them.

A folder that is the bucket is read as it is; from S3 each machine keeps a copy. A file's name claims its
SHA-256 (see `training.engine.weights_files`), which the trainer checks before it uses the file.
"""

import os
from pathlib import Path

import structlog
from django.conf import settings

from bucket.factory import get_bucket
from core.periodic import for_each

from ..engine.weights_files import CLAIMED_DIGEST

logger = structlog.get_logger(__name__)

PREFIX = "pretrained/"


def fetch_pretrained() -> int:
    """Copy what is new below pretrained/ in an S3 bucket; returns how many files that were.

    Raises `BucketError`, or `SomeFailed` after the other files were tried.
    """
    if not settings.S3_BUCKET:
        return 0
    folder = Path(settings.PRETRAINED_FOLDER)
    names = [key.removeprefix(PREFIX) for key, _ in get_bucket().list(PREFIX)]
    claimed = [name for name in names if "/" not in name and CLAIMED_DIGEST.search(name)]
    missing = [name for name in claimed if not (folder / name).exists()]
    return for_each(missing, _fetch)


def _fetch(name: str) -> bool:
    folder = Path(settings.PRETRAINED_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    try:
        with get_bucket().open(f"{PREFIX}{name}") as source, draft.open("wb") as target:
            target.writelines(source)
        draft.replace(folder / name)
    finally:
        draft.unlink(missing_ok=True)
    logger.info("pretrained.fetched", file=name)
    return True
