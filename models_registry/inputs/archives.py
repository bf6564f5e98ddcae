"""Zip archives from outside.

Nothing is ever extracted to a path made from a name in the archive: files are read into memory one by
one, and what comes out of the decompressor is counted.
"""

import contextlib
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .errors import DataError
from .limits import Limits

IGNORED = {"thumbs.db", "desktop.ini", "__macosx"}
CHUNK = 1 << 20
# The end of a zip: sections 4.3.14 to 4.3.16 of PKWARE's APPNOTE.
END_SIGNATURE, END_RECORD, LONGEST_COMMENT = b"PK\5\6", 22, 0xFFFF
LOCATOR_SIGNATURE, LOCATOR = b"PK\6\7", 20
LARGE_END_SIGNATURE, LARGE_END_RECORD = b"PK\6\6", 56
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


@contextlib.contextmanager
def open_archive(path: Path, limits: Limits) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """Open a zip; yields it with its files, in its order. Nothing is unpacked yet.

    Raises `DataError` for an archive that is no zip (found here or while it is read), is encrypted, names
    files outside itself or twice, holds links, none or too many files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, _members(archive, limits)
    except UNREADABLE_ARCHIVE as error:
        raise DataError(f"This is not a zip archive that can be read ({error}). Make it anew.") from error


def count_entries(path: Path) -> int:
    """Return how many files and folders a zip says that it holds, from its last bytes alone.

    Raises `DataError` for a file that is no zip.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - END_RECORD - LONGEST_COMMENT))
        tail = file.read()
        start = tail.rfind(END_SIGNATURE)
        if start < 0 or len(tail) - start < END_RECORD:
            raise DataError("This is not a zip archive that can be read (it has no end). Make it anew.")
        (entries,) = struct.unpack_from("<H", tail, start + 10)
        if entries != 0xFFFF:
            return int(entries)
        locator = tail[max(0, start - LOCATOR) : start]
        if not locator.startswith(LOCATOR_SIGNATURE):
            return int(entries)
        (offset,) = struct.unpack_from("<Q", locator, 8)
        file.seek(min(offset, size))
        record = file.read(LARGE_END_RECORD)
        if len(record) < LARGE_END_RECORD or not record.startswith(LARGE_END_SIGNATURE):
            return int(entries)  # something lies before the zip; that there are many is known
        (entries,) = struct.unpack_from("<Q", record, 32)
        return int(entries)


def _members(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """Return the archive's files, without what file managers leave behind; refuse dangerous ones."""
    infos = archive.infolist()
    if len(infos) > limits.max_entries:
        raise DataError(f"The archive has {len(infos):,} entries; the limit is {limits.max_entries:,}.")
    members, seen = [], set()
    for info in infos:
        name = PurePosixPath(info.filename)
        if info.is_dir() or any(is_litter(part) for part in name.parts):
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
        raise DataError("The archive holds no files. Put the images into it.")
    return members


def is_litter(part: str) -> bool:
    """Say whether a file or folder of this name is what file managers leave behind."""
    return (part.startswith(".") and part != "..") or part.lower() in IGNORED


def _check_name(info: zipfile.ZipInfo, name: PurePosixPath) -> None:
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename or "\0" in info.filename:
        raise DataError(f"{info.filename!r} points outside the archive. Use plain folders and file names.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"{info.filename!r} is a symbolic link. Put the file itself into the archive.")
    if info.flag_bits & 0x1:
        raise DataError(f"{info.filename!r} is encrypted. Make the archive without a password.")


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> bytes:
    """Return a file of an archive. Raises `DataError` for one that unpacks to more than the limits allow."""
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
