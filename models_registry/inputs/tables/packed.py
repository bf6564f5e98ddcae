"""Tables inside of other files: gzip, and zips of one or several tables or of a text file for each example."""

import contextlib
import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, ClassVar, cast

from ..archives import iter_member, open_archive, open_listing, read_member
from ..bounded_file import buffered
from ..corrections import Corrections
from ..errors import DataError
from ..limits import Limits
from .base import Row, TableReader, row_of
from .delimited import CsvReader
from .encodings import find_encoding
from .json_values import JsonReader

LEFT_OUT = 10  # names that a note lists


@dataclass(frozen=True)
class GzipCsvReader(CsvReader):
    """A CSV packed by gzip."""

    suffixes: ClassVar[tuple[str, ...]] = (".gz",)

    def open_bytes(self) -> BinaryIO:
        """Open what is packed."""
        return buffered(cast("IO[bytes]", gzip.open(self.path)), self.limits.max_bytes)

    def bytes_count(self) -> int | None:
        """Return None: the size stands at the end of the file, and may lie."""
        return None


@dataclass(frozen=True)
class GzipJsonReader(JsonReader):
    """JSON packed by gzip."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    open_bytes = GzipCsvReader.open_bytes
    bytes_count = GzipCsvReader.bytes_count


class _Member(io.RawIOBase):
    """A file of a zip by its decoded name, unpacked in pieces; closes the zip with itself."""

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        super().__init__()
        self._zip = contextlib.ExitStack()
        listing = self._zip.enter_context(open_listing(path, limits))
        entry = next(entry for entry in listing.entries if entry.filename == name)
        self._pieces = iter_member(listing.archive, entry)
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Unpack some bytes."""
        if not self._rest:
            self._rest = memoryview(next((piece for piece in self._pieces if piece), b""))
        end = len(self._rest) if size < 0 else size
        piece, self._rest = bytes(self._rest[:end]), self._rest[end:]
        return piece

    def close(self) -> None:
        """Close both."""
        if not self.closed:
            self._pieces.close()
            self._zip.close()
        super().close()


@dataclass(frozen=True)
class ZippedCsvReader(CsvReader):
    """A CSV in a zip."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    member: str = field(kw_only=True)

    def open_bytes(self) -> BinaryIO:
        """Open the member."""
        return buffered(
            cast("IO[bytes]", _Member(self.path, self.member, self.limits)), self.limits.max_bytes
        )

    def bytes_count(self) -> int | None:
        """Return None: what a zip says of it need not be true."""
        return None


@dataclass(frozen=True)
class ZippedJsonReader(JsonReader):
    """JSON in a zip."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    member: str = field(kw_only=True)
    open_bytes = ZippedCsvReader.open_bytes
    bytes_count = ZippedCsvReader.bytes_count


@dataclass(frozen=True)
class TextFolderReader(TableReader):
    """A zip of text files in a folder for each class."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def columns(self) -> list[str]:
        """Return the names that such a table would have."""
        return ["text", "label"]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the files, each with the name of its folder."""
        with open_archive(self.path, self.limits) as (archive, members):
            files = [member for member in members if member.filename.lower().endswith(".txt")]
            for count, member in enumerate(files, start=1):
                self.check_count(count)
                content = read_member(archive, member, self.limits)
                encoding = find_encoding([content])
                values = {
                    "text": content.decode(encoding.name, "surrogateescape").removeprefix("\ufeff"),
                    "label": PurePosixPath(member.filename).parent.name,
                }
                fields = [values[name] for name in (text, label, *also) if name is not None]
                yield row_of(member.filename, fields, also=len(also))


def open_zip(path: Path, limits: Limits, corrections: Corrections) -> TableReader:
    """Return the reader of a zip that holds tables, or texts in folders. Raises `DataError` for another one."""
    with open_archive(path, limits) as (_, members):
        names = [member.filename for member in members]
        sizes = {member.filename: member.file_size for member in members}
    folders = {str(PurePosixPath(name).parent) for name in names if name.lower().endswith(".txt")}
    tables = [
        name
        for name in names
        if PurePosixPath(name).suffix.lower() in CsvReader.suffixes[:2] + JsonReader.suffixes
    ]
    if not tables and len(folders) > 1 and not corrections.member:
        return TextFolderReader(path, limits, corrections=corrections)
    tables = tables or [name for name in names if name.lower().endswith((".txt", ".tab"))]
    if not tables:
        raise DataError("This zip holds no table of texts. Put a CSV into it, or upload the table as it is.")
    chosen = _wanted(names, corrections.member) or max(
        tables, key=lambda name: ("train" in PurePosixPath(name).stem.lower(), sizes[name])
    )
    is_json = PurePosixPath(chosen).suffix.lower() in JsonReader.suffixes
    reader: TableReader = (
        ZippedJsonReader(path, limits, member=chosen, corrections=corrections)
        if is_json
        else ZippedCsvReader(path, limits, member=chosen, corrections=corrections)
    )
    if others := [name for name in tables if name != chosen]:
        more = f" and {len(others) - LEFT_OUT:,} more" if len(others) > LEFT_OUT else ""
        named = ", ".join(map(repr, others[:LEFT_OUT]))
        reader.note(f"Read is {chosen!r} of the zip; left out are its other tables: {named}{more}.")
    return reader


def _wanted(names: list[str], member: str | None) -> str:
    """Return the file that a person has named; "" where nobody has. Raises `DataError` when it is not there."""
    if member and member not in names:
        there = ", ".join(map(repr, names[:LEFT_OUT]))
        raise DataError(f"There is no file {member!r} in the zip. It has: {there}.")
    return member or ""


def open_gzip(path: Path, limits: Limits, corrections: Corrections) -> TableReader:
    """Return the reader of a table packed by gzip, by what it begins with."""
    reader = GzipCsvReader(path, limits, corrections=corrections)
    with reader.open_bytes() as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
    return GzipJsonReader(path, limits, corrections=corrections) if start[:1] in (b"{", b"[") else reader
