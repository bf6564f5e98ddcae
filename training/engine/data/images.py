"""Reader of image data sets: a zip with a folder for each class, or with a table of labels.

What cannot be read as an image is listed, not silently dropped.
"""

import contextlib
import hashlib
import io
import os
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from models_registry.artifacts import InvalidInput, decoding
from models_registry.inputs import (
    ArchiveBudget,
    Corrections,
    ImageTooLarge,
    Limits,
    Part,
    is_link,
    is_litter,
    iter_member,
    open_listing,
)

from .archive_plans import ArchivePlan, Member, open_image_archive
from .examples import Progress, Unreadable
from .near_copies import SKETCH_SIDE

# Pillow warns of what is checked here anyway; a filter for each call would be one for all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
CHECKERS = min(4, os.cpu_count() or 1)  # threads that decode
FILES_AHEAD = 8 * CHECKERS
BYTES_AHEAD = 16 << 20
LINK = "is a link to another file; put the file itself into the archive"


@dataclass(frozen=True)
class ImageExample:
    """One readable image: its name in the archive, its class, the SHA-256 of its bytes, its part of a given split.

    `sketch` is what near copies are found by (`near_copies`), `group` the folder that keeps it with others or "".
    `has_more`: the file holds further pages or frames, of which nothing is seen.
    """

    name: str
    label: str
    sha256: str
    part: Part = ""
    sketch: bytes = b""
    group: str = ""
    has_more: bool = False


@dataclass(frozen=True)
class ImageExamples:
    """The readable images in the archive's order, and the unreadable ones with the reason."""

    path: Path
    examples: tuple[ImageExample, ...]
    unreadable: tuple[tuple[str, str], ...]
    corrections: Corrections | None = None

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the images' files in the order of `examples`."""
        with open_by_name(self.path, corrections=self.corrections) as read:
            for example in self.examples:
                yield read(example.name)


def read_image_archive(
    path: Path,
    limits: Limits | None = None,
    corrections: Corrections | None = None,
    *,
    progress: Progress | None = None,
) -> ImageExamples:
    """Read and check every image of a zip. Raises what `iter_image_archive` raises."""
    examples, unreadable = [], []
    for found in iter_image_archive(path, limits, corrections=corrections, progress=progress):
        if isinstance(found, Unreadable):
            unreadable.append((found.name, found.reason))
        else:
            examples.append(found)
    return ImageExamples(path, tuple(examples), tuple(unreadable), corrections)


def iter_image_archive(
    path: Path,
    limits: Limits | None = None,
    *,
    corrections: Corrections | None = None,
    progress: Progress | None = None,
    planned: Callable[["ArchivePlan"], None] | None = None,
) -> Iterator[ImageExample | Unreadable]:
    """Read and check every image of a zip that its import plan makes an example, those of its test part last.

    `planned` is told the plan before the first image is read; `progress` is told of each image how many have
    been read, of how many, and may raise to stop. Raises `DataError` for an archive that is no zip, is encrypted,
    names files outside itself, exceeds the limits, or has no classes.
    """
    limits = limits or Limits()
    opened = open_image_archive(path, limits, corrections)
    with opened as (archive, plan), ThreadPoolExecutor(CHECKERS) as pool:
        if planned is not None:
            planned(plan)
        members = [*plan.members, *plan.tests]
        try:
            for done, started in enumerate(_checks(archive, members, pool, limits), start=1):
                digest, sketch, reason, has_more = started.result.result()
                if progress is not None:
                    progress(done, len(members))
                name, label = started.member.member.filename, started.member.label
                part, group = started.member.part, started.member.group
                if reason:
                    yield Unreadable(name, "" if part == "test" else label, reason)
                else:
                    yield ImageExample(name, label, digest, part, sketch, group, has_more)
        finally:  # who stops early waits for what is being decoded, and not for all that was read ahead
            pool.shutdown(cancel_futures=True)


class _Checked(NamedTuple):
    """What a file turned out to be: its SHA-256, its sketch, why it is unreadable, whether it holds more pictures."""

    digest: str
    sketch: bytes = b""
    reason: str = ""
    has_more: bool = False


class _Check(NamedTuple):
    """A file that a thread looks at."""

    member: Member
    size: int
    result: Future[_Checked]


def _checks(
    archive: zipfile.ZipFile,
    members: list[Member],
    pool: ThreadPoolExecutor,
    limits: Limits,
) -> Iterator[_Check]:
    """Read files a little ahead of those that are checked: hashes and decoders let other threads run."""
    ahead: deque[_Check] = deque()
    held = 0
    budget = ArchiveBudget(archive, [member.member for member in members], limits)
    for member in members:
        if is_link(member.member):
            ahead.append(_Check(member, 0, _known(LINK)))
            continue
        try:
            content = budget.read(member.member)
        except ImageTooLarge as error:
            ahead.append(_Check(member, 0, _known(str(error))))
        else:
            budget.count_pixels(content)
            result = pool.submit(_check, content, limits.max_pixels)
            ahead.append(_Check(member, len(content), result))
            held += len(content)
        while held > BYTES_AHEAD or len(ahead) > FILES_AHEAD:
            oldest = ahead.popleft()
            held -= oldest.size
            yield oldest
    yield from ahead


def _known(reason: str) -> Future[_Checked]:
    """Return the result of a check that has been made: the reason why a file is unreadable."""
    result: Future[_Checked] = Future()
    result.set_result(_Checked("", reason=reason))
    return result


def _check(content: bytes, max_pixels: int) -> _Checked:
    """Decode the whole image, and say what it is."""
    digest = hashlib.sha256(content).hexdigest()
    try:
        with decoding.inspected_once():
            has_more = decoding.inspect(content, max_pixels=max_pixels).has_more
            sketch = decoding.sketch_image(content, SKETCH_SIDE, max_pixels=max_pixels)
    except InvalidInput as error:
        return _Checked(digest, reason=str(error))
    return _Checked(digest, sketch, has_more=has_more)


@contextlib.contextmanager
def open_by_name(
    path: Path, limits: Limits | None = None, corrections: Corrections | None = None
) -> Iterator[Callable[[str], bytes]]:
    """Open a zip that has been checked; yields what reads an example by its name in the plan."""
    name_encoding = corrections.name_encoding if corrections else None
    with open_listing(path, limits or Limits(), name_encoding) as (archive, entries, *_):
        members = {entry.filename: entry for entry in entries}
        yield lambda name: b"".join(iter_member(archive, members[name]))


class MemberBytes(NamedTuple):
    """Where a member's header begins in an archive, how many packed bytes follow it, and by which method of zip."""

    offset: int
    packed: int
    method: int


def locate_members(
    path: Path, limits: Limits | None = None, corrections: Corrections | None = None
) -> dict[str, MemberBytes]:
    """Return where each file of a zip lies, so that one can be read without the others. Raises `DataError`."""
    name_encoding = corrections.name_encoding if corrections else None
    with open_listing(path, limits or Limits(), name_encoding) as (_, entries, *_):
        return {
            entry.filename: MemberBytes(entry.header_offset, entry.compress_size, entry.compress_type)
            for entry in entries
        }


def why_no_class_name(name: str) -> str:
    """Return why no folder of an archive can have this name; empty when one can."""
    if not name.strip():
        return "is empty"
    if set(name) & set("/\\\0"):
        return "holds a slash, a backslash or NUL"
    if is_litter(name) or name.startswith("."):
        return "is one that file managers use"
    return ""


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
