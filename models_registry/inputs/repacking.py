"""Archives of other kinds, made into the zip that is read: tar, archives inside archives, Deflate64, Parquet.

Entries are copied one after the other in memory of some kilobytes; nothing is extracted to a path made from a
name, and what comes out of a decompressor is counted.
"""

import contextlib
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast

from .archives import DEFLATE64, Listing, is_link, iter_member, open_listing
from .compression import open_unpacked
from .entry_names import is_certain
from .errors import DataError
from .layout import Entry, is_hidden_file, is_photo, may_hold_labels, plan_images
from .limits import Limits
from .tables import holds_tables_by_name
from .tables.parquet_images import ParquetImages, is_parquet

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
CHUNK = 1 << 20  # bytes
SMALL = 1 << 30  # bytes that any archive may unpack to; more only in proportion to its size
LONGEST_HEADER = 1 << 20  # bytes of one extended header of a tar, which is read in one piece
MOST_ENTRIES_AROUND = 5_000  # of a zip that holds archives: one a class, and what lies beside them
DEEPEST = 3  # archives inside archives
LOOKED_AT, NAMES_LOOKED_AT = 64 << 20, 1_000  # bytes and files of a tar, by which it shows what it holds
TAR_BLOCK = 512  # bytes; an archive that ends within one was cut off
SAMPLES = "-samples"  # Teachable Machine calls the download of a class so
HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class Room(NamedTuple):
    """How much may be written in one go: bytes and files."""

    bytes: int
    files: int


class NeedsMoreRoom(DataError):
    """An archive that holds more than may be written; one without damage, as far as it was read."""


def repack(path: Path, target: Path, limits: Limits, room: Room | None = None) -> bool:
    """Write what an archive of another kind holds to `target`, a zip; return False, and nothing, for others.

    Raises `DataError` for an archive that is damaged, or holds more than the limits allow, and for what
    `open_listing` raises of a zip inside a zip; `NeedsMoreRoom` when it does not fit into `room`.
    """
    most = _most_bytes(path, limits)
    given = room or Room(most, limits.max_entries)
    given = Room(min(most, given.bytes), min(limits.max_entries, given.files))
    if not _repack_once(path, target, limits, given):
        return False
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        further = Path(temporary) / "further.zip"
        for _ in range(DEEPEST - 1):
            if not _repack_once(target, further, limits, given):
                break
            further.replace(target)
    return True


def _repack_once(path: Path, target: Path, limits: Limits, given: Room) -> bool:
    if is_tar(path):
        _repack_tar(path, target, limits, given)
        return True
    if is_parquet(path):
        _repack_parquet(path, target, limits, given)
        return True
    try:
        if not zipfile.is_zipfile(path):
            return False
        with open_listing(path, limits) as listing:
            is_deflate64 = any(entry.compress_type == DEFLATE64 for entry in listing.entries)
            inner = _inner_archives(listing)
    except DataError:  # no zip, or one that may not be read: who reads it says so
        return False
    if not inner and not is_deflate64:
        return False
    with open_listing(path, limits) as listing, _written(target, given) as writer:
        if inner:
            _copy_archives(listing, _inner_archives(listing), writer, limits, given, target.parent)
        else:
            _copy_entries(listing, "", writer)
    return True


def _most_bytes(path: Path, limits: Limits) -> int:
    return min(limits.max_bytes, SMALL + limits.max_compression_ratio * path.stat().st_size)


class _Writer:
    """Writes entries to a zip without compressing them, and counts files and bytes."""

    def __init__(self, archive: zipfile.ZipFile, room: Room) -> None:
        self._archive, self._room = archive, room
        self._files, self._left = 0, room.bytes

    def add(self, name: str, pieces: Iterator[bytes]) -> None:
        """Copy a file. Raises `NeedsMoreRoom`."""
        self._count_file()
        with self._archive.open(_entry(name), "w", force_zip64=True) as file:
            for piece in pieces:
                self._left -= len(piece)
                if self._left < 0:
                    raise NeedsMoreRoom(
                        f"The archive unpacks to more than {self._room.bytes:,} bytes, the limit for one of its size."
                    )
                file.write(piece)

    def add_folder(self, name: str) -> None:
        """Add a folder, which may be empty."""
        self._count_file()
        self._archive.writestr(_entry(f"{name.rstrip('/')}/"), b"")

    def add_link(self, name: str, path: str) -> None:
        """Add a symbolic link, which whoever reads the zip tells a person of."""
        self._count_file()
        info = _entry(name)
        info.create_system = 3  # Unix
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        self._archive.writestr(info, path.encode("utf-8", "replace"))

    def _count_file(self) -> None:
        self._files += 1
        if self._files > self._room.files:
            raise NeedsMoreRoom(f"The archive has more than {self._room.files:,} entries, the limit.")


class _UnknownName(zipfile.ZipInfo):
    """An entry whose name is not UTF-8: written as it came, so that who reads the zip guesses, tells and asks."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - the name that zipfile calls
        return self.filename.encode("utf-8", "surrogateescape"), self.flag_bits


def _entry(name: str) -> zipfile.ZipInfo:
    try:
        name.encode()
    except UnicodeEncodeError:
        return _UnknownName(name)
    return zipfile.ZipInfo(name)


@contextlib.contextmanager
def _written(target: Path, room: Room) -> Iterator[_Writer]:
    with zipfile.ZipFile(target, "w") as archive:
        yield _Writer(archive, room)


class _BoundedHeaders(tarfile.TarInfo):
    """A tar's entry whose extended headers are small: tarfile reads each of them in one piece."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in HEADERS and self.size > LONGEST_HEADER:
            raise DataError(f"A header of this tar archive has {self.size:,} bytes. Make it anew.")
        return cast("tarfile.TarInfo", super()._proc_member(archive))  # type: ignore[misc]


def tar_holds_tables(path: Path) -> bool:
    """Tell by the names of its first files whether a tar holds tables or texts, and nothing that may be a photo."""
    names: list[str] = []
    with (
        contextlib.suppress(DataError, tarfile.TarError, EOFError),
        open_unpacked(path, LOOKED_AT) as file,
        tarfile.open(fileobj=file, mode="r|", tarinfo=_BoundedHeaders, errors="replace") as archive,
    ):
        for member in archive:
            if is_photo(member.name):
                return False
            if member.isfile():
                names.append(member.name)
            if len(names) == NAMES_LOOKED_AT:
                break
    return holds_tables_by_name(names)


def is_tar(path: Path) -> bool:
    """Tell whether the first block is that of a tar archive, packed as a whole or not at all."""
    try:
        with open_unpacked(path, 1 << 20) as file:
            block = file.read(TAR_BLOCK)
    except DataError:
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _repack_parquet(path: Path, target: Path, limits: Limits, room: Room) -> None:
    with _written(target, room) as writer:
        for name, content in ParquetImages(path, limits).images():
            writer.add(name, iter((content,)))


def _repack_tar(path: Path, target: Path, limits: Limits, room: Room) -> None:
    try:
        with (
            open_unpacked(path, _most_bytes(path, limits) + limits.max_entries * TAR_BLOCK) as file,
            tarfile.open(
                fileobj=file,
                mode="r|",
                tarinfo=_BoundedHeaders,
                encoding="utf-8",
                errors="surrogateescape",
                ignore_zeros=False,
            ) as archive,
            _written(target, room) as writer,
        ):
            for member in archive:
                _copy_member(archive, member, writer)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"This tar archive cannot be read ({error}). Make it anew.") from error


def _copy_member(archive: tarfile.TarFile, member: tarfile.TarInfo, writer: _Writer) -> None:
    name = member.name.removeprefix("./")
    if member.isdir():
        writer.add_folder(name)
    elif member.issym() or member.islnk():
        writer.add_link(name, member.linkname)
    elif not member.isreg() or member.issparse():
        shown = name.encode("utf-8", "replace").decode()
        raise DataError(f"{shown!r} is no plain file. Remove it from the archive.")
    else:
        content = archive.extractfile(member)
        assert content is not None  # of a regular file
        writer.add(name, iter(lambda: content.read(CHUNK), b""))


def _inner_archives(listing: Listing) -> list[zipfile.ZipInfo]:
    """Return the zips and tars inside a zip when all photos must lie in them: there are none beside them."""
    inner = [info for info in listing.entries if _is_inner(info.filename)]
    if not inner or len(listing.entries) > MOST_ENTRIES_AROUND:
        return []
    entries = [Entry(info.filename, info.file_size, info.is_dir()) for info in listing.entries]
    plan = plan_images(entries)
    return [] if plan.examples or plan.is_flat else inner


def _is_inner(name: str) -> bool:
    return name.lower().endswith((".zip", *TAR_SUFFIXES)) and not is_hidden_file(tuple(name.split("/")))


def _folder_of(name: str) -> str:
    """Return the folder that an inner archive becomes: its name without suffixes."""
    suffix = next(one for one in (*TAR_SUFFIXES[1:], ".tar", ".zip") if name.lower().endswith(one))
    return name[: -len(suffix)].removeprefix("./")


def _copy_archives(
    listing: Listing, inner: list[zipfile.ZipInfo], writer: _Writer, limits: Limits, room: Room, place: Path
) -> None:
    """Copy the files of the archives in a zip, each into a folder called as it is, and tables beside them."""
    folders = [_folder_of(info.filename) for info in inner]
    if all(folder.endswith(SAMPLES) for folder in folders):
        folders = [folder.removesuffix(SAMPLES) for folder in folders]
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        unpacked, plain = Path(temporary) / "inner.zip", Path(temporary) / "plain.zip"
        for info, folder in zip(inner, folders, strict=True):
            _copy_bounded(iter_member(listing.archive, info), unpacked, room.bytes, info.filename)
            if is_packed := is_tar(unpacked):
                _repack_tar(unpacked, plain, limits, room)
            _copy_zip(plain if is_packed else unpacked, folder, writer, limits)
    for info in listing.entries:
        if may_hold_labels(info.filename) and not is_hidden_file(tuple(info.filename.split("/"))):
            writer.add(info.filename, iter_member(listing.archive, info))


def _copy_bounded(pieces: Iterator[bytes], path: Path, most: int, name: str) -> None:
    written = 0
    with path.open("wb") as file:
        for piece in pieces:
            written += len(piece)
            if written > most:
                raise NeedsMoreRoom(f"{name!r} unpacks to more than {most:,} bytes, the limit.")
            file.write(piece)


def _copy_zip(path: Path, folder: str, writer: _Writer, limits: Limits) -> None:
    try:
        with open_listing(path, limits) as listing:
            _copy_entries(listing, f"{folder}/", writer)
    except NeedsMoreRoom:
        raise
    except DataError as error:
        raise DataError(f"In {PurePosixPath(folder).name}.zip: {error}") from error


def _copy_entries(listing: Listing, folder: str, writer: _Writer) -> None:
    for info in listing.entries:
        name = f"{folder}{_as_written(info, listing.code_page) if folder.isascii() else info.filename}"
        if info.filename.endswith("/"):
            writer.add_folder(name)
        elif is_link(info):
            writer.add_link(name, "")
        else:
            writer.add(name, iter_member(listing.archive, info))


def _as_written(info: zipfile.ZipInfo, code_page: str) -> str:
    """Return an entry's name, undone to what it was before a code page had to be guessed."""
    if not code_page or is_certain(info):
        return info.filename
    return info.filename.encode(code_page, "replace").decode("utf-8", "surrogateescape")
