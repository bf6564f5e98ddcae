"""Reader of image data sets: a zip with a folder for each class.

Nothing is ever extracted to a path made from a name in the archive: files are read into memory one by
one. What cannot be read as an image is listed, not silently dropped.
"""

import contextlib
import hashlib
import io
import lzma
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image, ImageOps

from models_registry.artifacts.images import FORMATS

from .errors import DataError
from .examples import Unreadable
from .limits import Limits

IGNORED = {"thumbs.db", "desktop.ini", "__macosx"}
# Pillow warns of what is checked here anyway; a filter for each call would be one for all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
CHUNK = 1 << 20
CHECKERS = min(4, os.cpu_count() or 1)  # threads that decode
FILES_AHEAD = 8 * CHECKERS
BYTES_AHEAD = 16 << 20
# What zipfile and its decompressors raise for archives that are damaged or made to do harm.
UNREADABLE_ARCHIVE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    EOFError,
    OSError,
    OverflowError,
    UnicodeDecodeError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)


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


def iter_image_archive(path: Path, limits: Limits | None = None) -> Iterator[ImageExample | Unreadable]:
    """Read and check every image of a zip with a folder for each class, one after the other.

    A single folder around the class folders is fine. Raises `DataError` for an archive that is no
    zip, is encrypted, names files outside itself, or exceeds the limits.
    """
    limits = limits or Limits()
    with open_image_archive(path, limits) as (archive, members), ThreadPoolExecutor(CHECKERS) as pool:
        for started in _checks(archive, members, pool, limits):
            digest, reason = started.result.result()
            if reason:
                yield Unreadable(started.name, started.label, reason)
            else:
                yield ImageExample(started.name, started.label, digest)


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
    total = held = 0
    for member, label in members:
        content = _read_member(archive, member, limits)
        total += len(content)
        if total > limits.max_bytes:
            raise DataError(
                f"The archive holds more than the {limits.max_bytes:,} bytes that a data set may have."
            )
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
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, _with_labels(_members(archive, limits or Limits()))
    except UNREADABLE_ARCHIVE as error:
        raise DataError(f"This is not a zip archive that can be read ({error}). Make it anew.") from error


def _members(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """Return the archive's files, without what file managers leave behind; refuse dangerous ones."""
    infos = archive.infolist()
    if len(infos) > limits.max_entries:
        raise DataError(f"The archive has {len(infos):,} entries; the limit is {limits.max_entries:,}.")
    members, seen = [], set()
    for info in infos:
        name = PurePosixPath(info.filename)
        if info.is_dir() or any(_is_litter(part) for part in name.parts):
            continue
        _check_name(info, name)
        folded = info.filename.casefold()
        if folded in seen:
            raise DataError(
                f"{info.filename!r} is in the archive twice (names that differ only in case count as the same). "
                "Rename one."
            )
        seen.add(folded)
        members.append(info)
    if not members:
        raise DataError(
            "The archive holds no files. Put each class's images into a folder named like the class."
        )
    return members


def _is_litter(part: str) -> bool:
    """Say whether a file or folder of this name is what file managers leave behind."""
    return (part.startswith(".") and part != "..") or part.lower() in IGNORED


def why_no_class_name(name: str) -> str:
    """Return why no folder of an archive can have this name; empty when one can."""
    if not name.strip():
        return "is empty"
    if set(name) & set("/\\\0"):
        return "holds a slash, a backslash or NUL"
    if _is_litter(name) or name == "..":
        return "is one that file managers use"
    return ""


def _check_name(info: zipfile.ZipInfo, name: PurePosixPath) -> None:
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename or "\0" in info.filename:
        raise DataError(f"{info.filename!r} points outside the archive. Use plain folders and file names.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"{info.filename!r} is a symbolic link. Put the file itself into the archive.")
    if info.flag_bits & 0x1:
        raise DataError(f"{info.filename!r} is encrypted. Make the archive without a password.")


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


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> bytes:
    """Read a file, counting what really comes out of the decompressor."""
    most = min(limits.max_entry_bytes, limits.max_compression_ratio * max(member.compress_size, 1024))
    pieces, length = [], 0
    with archive.open(member) as file:
        while piece := file.read(CHUNK):
            length += len(piece)
            if length > most:
                raise DataError(
                    f"{member.filename!r} unpacks to more than {most:,} bytes, which no photo of its size does. "
                    "Remove it."
                )
            pieces.append(piece)
    return b"".join(pieces)


def thumbnail(content: bytes, side: int) -> bytes:
    """Return a readable image as a small upright JPEG that fits a square of `side` pixels."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.draft("RGB", (2 * side, 2 * side))
        small = image.convert("RGB")
        small.thumbnail((side, side))
        small = ImageOps.exif_transpose(small)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def why_unreadable(content: bytes, max_pixels: int) -> str:
    """Return why these bytes are no usable image; empty when they are one. Decodes the whole image."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                return f"{width} × {height} pixels are more than the {max_pixels:,} allowed"
            image.draft("RGB", (64, 64))
            image.load()
    except Image.UnidentifiedImageError:
        return "not an image, or of an unknown format"
    except Exception as error:  # decoders raise whatever they like on broken files
        return f"broken image ({error})"
    return ""
