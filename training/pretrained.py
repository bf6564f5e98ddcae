"""Pretrained weights that an administrator put into the bucket, copied to where trainers look for them.

A folder that is the bucket is read as it is; from S3 each machine keeps a copy. A file's name claims its
SHA-256 (see `training.catalogue`), which the trainer checks before it uses the file.
"""

import os
import shutil
from pathlib import Path

import structlog
from django.conf import settings
from django.core.files.storage import storages

from .catalogue import CLAIMED_DIGEST

logger = structlog.get_logger(__name__)

PREFIX = "pretrained/"


def fetch_pretrained() -> int:
    """Copy what is new below pretrained/ in an S3 bucket; returns how many files that were.

    A bucket that does not answer is noted and asked again the next time.
    """
    if not settings.S3_BUCKET:
        return 0
    try:
        return _fetch_missing()
    except Exception as error:  # the bucket, the network, the disk: whatever the storage raises
        logger.warning("pretrained.fetch_failed", error=repr(error))
        return 0


def _fetch_missing() -> int:
    storage, folder = storages["default"], Path(settings.PRETRAINED_FOLDER)
    _, names = storage.listdir(PREFIX)
    missing = [name for name in names if CLAIMED_DIGEST.search(name) and not (folder / name).exists()]
    for name in missing:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}.{os.getpid()}"
        try:
            with storage.open(f"{PREFIX}{name}") as source, draft.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            draft.replace(folder / name)
        finally:
            draft.unlink(missing_ok=True)
        logger.info("pretrained.fetched", file=name)
    return len(missing)
