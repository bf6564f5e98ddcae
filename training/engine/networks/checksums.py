"""Files that are used only if they are what the catalogue says."""

import hashlib

from ..catalogue import WeightsFile
from ..events import TrainingError

GIT_DIGITS = 40  # of the SHA-1 by which git, and so the hub's cache, names a small file


def read_pinned(source: WeightsFile) -> bytes:
    """Read a file and check its digest. Raises `TrainingError`."""
    try:
        path = source.path()
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(str(error)) from error
    expected = source.digest(path)
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(expected) and not (len(expected) == GIT_DIGITS and git_id(content) == expected):
        raise TrainingError(
            f"{path.name} has the SHA-256 {found}, not the expected {expected}. Install or fetch it again."
        )
    return content


def git_id(content: bytes) -> str:
    """Return what git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
