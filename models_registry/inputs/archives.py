"""Zip archives from outside.

Nothing is ever extracted to a path made from a name in the archive: files are read into memory one by
one, and what comes out of the decompressor is counted.
"""

import bz2
import contextlib
import copy
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models_registry.artifacts.image_files import is_image_file

from .deflate64 import Decompressor, Deflate64Decompressor
from .entry_names import name_entries
from .errors import DataError, ImageTooLarge
from .layout import is_hidden_file
from .limits import Limits

CHUNK = 1 << 20
# The end of a zip: sections 4.3.14 to 4.3.16 of PKWARE's APPNOTE.
END_SIGNATURE, END_RECORD, LONGEST_COMMENT = b"PK\5\6", 22, 0xFFFF
LOCATOR_SIGNATURE, LOCATOR = b"PK\6\7", 20
LARGE_END_SIGNATURE, LARGE_END_RECORD = b"PK\6\6", 56
ENTRY_SIGNATURE, ENTRY = b"PK\1\2", 256  # of the list of files; bytes of an entry, with a long name
PACKED_AT_ONCE = 1 << 16
DEFLATE64 = 9  # method of section 4.4.5: what Windows Explorer takes for files of more than 2 GB
LZMA_MEMORY = 128 << 20  # bytes; 7-Zip's "ultra" takes 64 MB
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


# What people take for a zip, by its first bytes.
RAR = "a RAR archive"
OTHER_FILES = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (.7z)"),
    (b"Rar!", RAR),
    (b"\x1f\x8b", "a gzip archive (.gz, .tar.gz)"),
    (b"BZh", "a bzip2 archive (.bz2)"),
    (b"\xfd7zXZ", "an xz archive (.xz)"),
    (b"PAR1", "a Parquet table"),
    (b"%PDF", "a PDF"),
)
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257


class Listing(NamedTuple):
    """An open zip with all its entries, folders and what systems leave included, in its order.

    `filename` of each is its decoded name with "/" between folders: read files by the entry, not by its name.
    `code_page` is the one that was guessed for names without the flag of UTF-8; empty when none was. Of files with the
    same name, which are `repeated`, the last one is there, as when such an archive is unpacked.
    """

    archive: zipfile.ZipFile
    entries: list[zipfile.ZipInfo]
    code_page: str
    repeated: list[str]


@contextlib.contextmanager
def open_listing(path: Path, limits: Limits, name_encoding: str | None = None) -> Iterator[Listing]:
    """Open a zip; nothing is unpacked yet. `name_encoding` is the code page of names that do not say theirs.

    Raises `DataError` for an archive that is no zip (found here or while it is read), is encrypted, names
    files outside itself, or holds too many.
    """
    try:
        with _GuardedFile(path, limits) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            code_page = name_entries(entries, name_encoding)
            _check_entries(entries, limits, path.stat().st_size)
            kept, repeated = _last_of_each(entries)
            yield Listing(archive, kept, code_page, repeated)
    except UNREADABLE_ARCHIVE as error:
        raise DataError(_why_unreadable(path, error)) from error


@contextlib.contextmanager
def open_archive(path: Path, limits: Limits) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """Open a zip; yields it with its files, without what systems leave behind.

    Raises what `open_listing` raises, and `DataError` for an archive without files.
    """
    with open_listing(path, limits) as (archive, entries, *_):
        members = [entry for entry in entries if not entry.filename.endswith("/") and not _is_hidden(entry)]
        if not members:
            raise DataError("The archive holds no files. Put the images into it.")
        yield archive, members


def _why_unreadable(path: Path, error: Exception) -> str:
    """Say what a file is that is no zip, and what to do."""
    with path.open("rb") as file:
        head = file.read(TAR_MAGIC_AT + len(TAR_MAGIC))
    what = next((name for magic, name in OTHER_FILES if head.startswith(magic)), "")
    if head[TAR_MAGIC_AT:] == TAR_MAGIC:
        what = "a tar archive"
    if what == RAR:
        return (
            "This is a RAR archive, which cannot be read here. Unpack it, zip the folders and send the zip."
        )
    if what:
        return f"This is {what}, not a zip archive. Unpack it and zip the folders."
    if is_image_file(head):
        return "This is a single image, not a zip archive. Put the images of each class into a folder and zip these."
    if isinstance(error, NotImplementedError):
        return (
            f"This zip archive uses a compression that cannot be read here ({error}). Make it anew with the method "
            "'Deflate', or without compression: photos hardly shrink."
        )
    if head.startswith(b"PK\3\4") and not _has_end(path):
        return "This zip archive has no end: it was cut off while it was copied or uploaded. Copy it again."
    return f"This is not a zip archive that can be read ({error}). Make it anew."


def _has_end(path: Path) -> bool:
    return _entries_said(path) is not None


class _GuardedFile(io.BufferedReader):
    """An archive's file, whose list of files is looked at before `zipfile` makes objects of it.

    The list is the only thing that `zipfile` reads in one piece, however long it says that it is.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(io.FileIO(path))
        self._most_entries = limits.max_entries

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual. Raises `DataError` for a list of more entries than the limits allow."""
        most_bytes = max(ENTRY * self._most_entries, CHUNK)
        content = super().read(min(size, most_bytes + 1) if size else size)
        if len(content) > most_bytes or content.count(ENTRY_SIGNATURE) > self._most_entries:
            raise DataError(f"The archive has more than {self._most_entries:,} entries, the limit.")
        return content


def count_entries(path: Path) -> int:
    """Return how many files and folders a zip says that it holds, from its last bytes alone.

    Raises `DataError` for a file that is no zip.
    """
    count = _entries_said(path)
    if count is None:
        raise DataError(_why_unreadable(path, zipfile.BadZipFile("it has no end")))
    return count


def _entries_said(path: Path) -> int | None:
    """Return the number of entries that the end of a zip names; None for a file without such an end."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - END_RECORD - LONGEST_COMMENT))
        tail = file.read()
        start = tail.rfind(END_SIGNATURE)
        if start < 0 or len(tail) - start < END_RECORD:
            return None
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


def _check_entries(entries: list[zipfile.ZipInfo], limits: Limits, size: int) -> None:
    """Refuse an archive that is dangerous. What is skipped anyway may have any name."""
    if sum(entry.compress_size for entry in entries) > size:
        raise DataError("Files of this archive share their bytes, as only a zip bomb's do. Make it anew.")
    declared = sum(entry.file_size for entry in entries)
    if declared > limits.max_bytes:
        raise DataError(f"The archive unpacks to {declared:,} bytes; the limit is {limits.max_bytes:,}.")
    for entry in entries:
        if not entry.filename.endswith("/") and not _is_hidden(entry):
            _check_name(entry, PurePosixPath(entry.filename))


def _last_of_each(entries: list[zipfile.ZipInfo]) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """Return the entries without those that a later one of the same name stands for, and these names."""
    last = {entry.filename: entry for entry in entries}
    if len(last) == len(entries):
        return entries, []
    repeated = [entry.filename for entry in entries if last[entry.filename] is not entry]
    return [entry for entry in entries if last[entry.filename] is entry], repeated


def is_link(entry: zipfile.ZipInfo) -> bool:
    """Say whether an entry is a symbolic link, whose content is a path and no photo or table."""
    return stat.S_ISLNK(entry.external_attr >> 16)


def _is_hidden(entry: zipfile.ZipInfo) -> bool:
    parts = tuple(part for part in entry.filename.split("/") if part not in ("", "."))
    return ".." not in parts and (not parts or is_hidden_file(parts))


def _check_name(info: zipfile.ZipInfo, name: PurePosixPath) -> None:
    if ".." in name.parts or "\0" in info.filename:
        raise DataError(f"{info.filename!r} points outside the archive. Use plain folders and file names.")
    if info.flag_bits & 0x1:
        raise DataError(
            f"{info.filename!r} is encrypted: the archive has a password. Make it anew without one; it is sent over an "
            "encrypted connection anyway."
        )


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> bytes:
    """Return a file of an archive.

    Raises `ImageTooLarge` for an image, and `DataError` for any other file, that unpacks to more than the limits
    allow. A scan of an empty page may be packed to a thousandth of its size; what is no image may not.
    """
    most_of_others = min(
        limits.max_entry_bytes, limits.max_compression_ratio * max(member.compress_size, 1024)
    )
    content = io.BytesIO()  # hands its bytes over without a copy
    is_image: bool | None = None
    for piece in iter_member(archive, member):
        is_image = is_image_file(piece) if is_image is None else is_image
        content.write(piece)
        if is_image and content.tell() > limits.max_entry_bytes:
            raise ImageTooLarge(
                f"has more than {limits.max_entry_bytes:,} bytes, the limit of an image; save it as JPEG"
            )
        if not is_image and content.tell() > most_of_others:
            raise DataError(
                f"{member.filename!r} unpacks to more than {most_of_others:,} bytes, which no photo of its size "
                "does. Remove it."
            )
    return content.getvalue()


def iter_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Generator[bytes]:
    """Yield a file's content in pieces of bounded length, whatever compression makes of a few bytes."""
    if member.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, DEFLATE64):
        with archive.open(member) as file:
            while piece := file.read(CHUNK):
                yield piece
        return
    # zipfile unpacks all that it has read of these at once: some kilobytes to some gigabytes.
    packed = copy.copy(member)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, member.compress_size
    del packed.CRC  # that of the content, which is checked here
    checksum = 0
    with archive.open(packed) as file:
        if member.compress_type == DEFLATE64:
            decompressor: Decompressor = Deflate64Decompressor()
            data = b""
        elif member.compress_type == zipfile.ZIP_BZIP2:
            decompressor = bz2.BZ2Decompressor()
            data = b""
        else:
            decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=LZMA_MEMORY)
            data = file.read(4 + 5)[4:] + b"\xff" * 8  # section 5.8.8; the length is said to be unknown
        while not decompressor.eof:
            if decompressor.needs_input and not data:
                data = file.read(PACKED_AT_ONCE)
                if not data:
                    break
            piece = decompressor.decompress(data, CHUNK)
            data = b""
            checksum = zlib.crc32(piece, checksum)
            yield piece
    if checksum != member.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")
