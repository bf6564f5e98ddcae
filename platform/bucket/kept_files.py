"""Copies of the bucket's files that a machine keeps by their digest, so that none is fetched twice."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .files import download


def provide(
    key: str, path: Path, folder: Path, *, sha256: str, size: int, check: Callable[[], None] = lambda: None
) -> None:
    """Let a file of the bucket be at `path`: the copy kept in `folder`, or one that is fetched and kept there then.

    A copy that is not the file any more is fetched again. `check` may raise to stop. Raises what `download` raises.
    """
    kept = folder / f"{sha256}{path.suffix}"
    with contextlib.suppress(OSError):
        if kept.stat().st_size == size and _digest(kept) == sha256:
            link_or_copy(kept, path)
            os.utime(kept)
            return
    download(key, path, sha256=sha256, limit=size, check=check)
    keep(path, folder, sha256)


def keep(path: Path, folder: Path, sha256: str) -> None:
    """Keep a file; where that cannot be, the next one who wants it fetches it."""
    kept = folder / f"{sha256}{path.suffix}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        link_or_copy(path, draft)
        draft.replace(kept)


def prune(folder: Path, most: int) -> int:
    """Remove the copies that were used longest ago until the others have `most` bytes; returns how many went."""
    found = []
    for path in filter(Path.is_file, folder.glob("*")):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    left = sum(size for _, size, _ in found)
    removed = 0
    for _, size, path in sorted(found):
        if left <= most:
            break
        path.unlink(missing_ok=True)
        left, removed = left - size, removed + 1
    return removed


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
