"""Reader of image data sets: a zip with a folder for each class.

What cannot be read as an image is listed, not silently dropped.
"""

import contextlib
import hashlib
import io
import os
import warnings
import zipfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models_registry.artifacts import InvalidInput, decoding
from models_registry.inputs import ArchiveBudget, DataError, Limits, is_litter, open_archive

from .examples import Progress, Unreadable

# Pillow warns of what is checked here anyway; a filter for each call would be one for all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
CHECKERS = min(4, os.cpu_count() or 1)  # threads that decode
FILES_AHEAD = 8 * CHECKERS
BYTES_AHEAD = 16 << 20


@dataclass(frozen=True)
class ImageExample:
    """One readable image: its name in the archive, its class, the SHA-256 of its bytes."""

    name: str
    label: str
    sha256: str


@dataclass(frozen=True)
class ImageExamples:
    """The readable images in the archive's order, and the unreadable ones with the reason."""

    path: Path
    examples: tuple[ImageExample, ...]
    unreadable: tuple[tuple[str, str], ...]

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the images' files in the order of `examples`."""
        with zipfile.ZipFile(self.path) as archive:
            for example in self.examples:
                yield archive.read(example.name)


def read_image_archive(path: Path, limits: Limits | None = None) -> ImageExamples:
    """Read and check every image of a zip. Raises what `iter_image_archive` raises."""
    examples, unreadable = [], []
    for found in iter_image_archive(path, limits):
        if isinstance(found, Unreadable):
            unreadable.append((found.name, found.reason))
        else:
            examples.append(found)
    return ImageExamples(path, tuple(examples), tuple(unreadable))


def iter_image_archive(
    path: Path, limits: Limits | None = None, *, progress: Progress | None = None
) -> Iterator[ImageExample | Unreadable]:
    """Read and check every image of a zip with a folder for each class, one after the other.

    A single folder around the class folders is fine. `progress` is told of each image how many have been
    read, of how many, and may raise to stop. Raises `DataError` for an archive that is no zip, is encrypted,
    names files outside itself, or exceeds the limits.
    """
    limits = limits or Limits()
    with open_image_archive(path, limits) as (archive, members), ThreadPoolExecutor(CHECKERS) as pool:
        try:
            for done, started in enumerate(_checks(archive, members, pool, limits), start=1):
                digest, reason = started.result.result()
                if progress is not None:
                    progress(done, len(members))
                if reason:
                    yield Unreadable(started.name, started.label, reason)
                else:
                    yield ImageExample(started.name, started.label, digest)
        finally:  # who stops early waits for what is being decoded, and not for all that was read ahead
            pool.shutdown(cancel_futures=True)


class _Check(NamedTuple):
    """A file that a thread looks at; `result` will have its SHA-256 and why it is unreadable."""

    name: str
    label: str
    size: int
    result: Future[tuple[str, str]]


def _checks(
    archive: zipfile.ZipFile,
    members: list[tuple[zipfile.ZipInfo, str]],
    pool: ThreadPoolExecutor,
    limits: Limits,
) -> Iterator[_Check]:
    """Read files a little ahead of those that are checked: hashes and decoders let other threads run."""
    ahead: deque[_Check] = deque()
    held = 0
    budget = ArchiveBudget(archive, [member for member, _ in members], limits)
    for member, label in members:
        content = budget.read(member)
        budget.count_pixels(content)
        result = pool.submit(_check, content, limits.max_pixels)
        ahead.append(_Check(member.filename, label, len(content), result))
        held += len(content)
        while held > BYTES_AHEAD or len(ahead) > FILES_AHEAD:
            oldest = ahead.popleft()
            held -= oldest.size
            yield oldest
    yield from ahead


def _check(content: bytes, max_pixels: int) -> tuple[str, str]:
    """Return the SHA-256 of a file, and why it is no usable image."""
    return hashlib.sha256(content).hexdigest(), why_unreadable(content, max_pixels)


@contextlib.contextmanager
def open_image_archive(
    path: Path, limits: Limits | None = None
) -> Iterator[tuple[zipfile.ZipFile, list[tuple[zipfile.ZipInfo, str]]]]:
    """Open a zip and pair its files with their classes; nothing is unpacked yet.

    What turns out to be no zip, here or while it is read, becomes a `DataError`.
    """
    with open_archive(path, limits or Limits()) as (archive, members):
        yield archive, _with_labels(members)


def why_no_class_name(name: str) -> str:
    """Return why no folder of an archive can have this name; empty when one can."""
    if not name.strip():
        return "is empty"
    if set(name) & set("/\\\0"):
        return "holds a slash, a backslash or NUL"
    if is_litter(name) or name == "..":
        return "is one that file managers use"
    return ""


def _with_labels(members: list[zipfile.ZipInfo]) -> list[tuple[zipfile.ZipInfo, str]]:
    """Pair each file with its class: the folder it lies in, below a common top folder if there is one."""
    paths = [PurePosixPath(member.filename).parts for member in members]
    tops = {parts[0] for parts in paths}
    depth = 1 if len(tops) == 1 and all(len(parts) >= 3 for parts in paths) else 0
    labelled = []
    for member, parts in zip(members, paths, strict=True):
        if len(parts) != depth + 2:
            raise DataError(
                f"{member.filename!r} does not lie in a class folder. "
                "The archive should hold one folder for each class, with the images directly inside."
            )
        labelled.append((member, parts[depth]))
    return labelled


def thumbnail(content: bytes, side: int) -> bytes:
    """Return a readable image as a small upright JPEG that fits a square of `side` pixels."""
    buffer = io.BytesIO()
    decoding.thumbnail(content, side).save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def why_unreadable(content: bytes, max_pixels: int) -> str:
    """Return why these bytes are no usable image; empty when they are one. Decodes the whole image."""
    try:
        decoding.check_image(content, max_pixels=max_pixels)
    except InvalidInput as error:
        return str(error)
    return ""
