"""Files that are either whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(
    path: Path, content: bytes, *, before_replacing: Callable[[], None] = lambda: None
) -> None:
    """Write a temporary file beside `path`, then put it in its place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        before_replacing()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
