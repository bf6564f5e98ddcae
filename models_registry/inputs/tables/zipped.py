"""Tables in a zip, one or several: which are read, and how each is opened."""

import contextlib
import io
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, ClassVar, NamedTuple, cast

from ..archives import count_entries, is_link, iter_member, open_listing
from ..bounded_file import buffered
from ..corrections import Corrections
from ..errors import DataError
from ..layout import is_hidden_file, is_no_photo, is_photo
from ..layout.names import Part, are_dates, are_pieces, listed, split_part
from ..limits import Limits
from .base import TableReader
from .delimited import CsvReader
from .json_values import JsonReader
from .packed import PackedCsvReader
from .parquet import ParquetReader
from .several import LABEL, SPLIT, Piece, SeveralTables, are_unlabelled
from .sheets import SheetReader
from .text_folders import TextFolderReader

OF_LINES = (".txt", ".tab")  # tables only where there are no others: a README is one, too
STREAMED = (*CsvReader.suffixes, *JsonReader.suffixes)
TABLES = (*STREAMED, *SheetReader.suffixes, *ParquetReader.suffixes)
ENDINGS = (
    *TABLES,
    *(f"{table}{packed}" for table in TABLES for packed in (*PackedCsvReader.suffixes, ".zip")),
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
MOST_UNPACKED = 16 << 20  # bytes of one of these
MOST_TABLES, MOST_ENTRIES = 30, 1_000  # that are read as one; of a zip in which they are looked for
OpenTable = Callable[[Path, Limits, Corrections], TableReader]


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


def open_zip(path: Path, limits: Limits, corrections: Corrections, open_table: OpenTable) -> TableReader:
    """Return the reader of a zip that holds tables, or texts in folders. Raises `DataError` for another one.

    `open_table` opens what has to be unpacked before it can be read.
    """
    sizes = _sizes(path, limits)
    tables, are_folders = _tables_of(list(sizes))
    if are_folders and not corrections.member:
        return TextFolderReader(path, limits, corrections=corrections)
    if not tables:
        raise DataError("This zip holds no table of texts. Put a CSV into it, or upload the table as it is.")
    wanted = _wanted(list(sizes), corrections.member)
    chosen = wanted or max(tables, key=lambda name: (_is_for_training(name), sizes[name]))
    opening = _Opening(path, limits, replace(corrections, member=None), open_table)
    reader = opening.reader_of(chosen)
    pieces = (
        [] if wanted else opening.of_a_class_each(tables) or opening.with_same_columns(chosen, reader, tables)
    )
    if len(pieces) > 1:
        reader = SeveralTables(path, limits, corrections=corrections, notes=reader.notes, pieces=pieces)
        named = listed(
            [f"{piece.name} ({''.join(piece.said.values())})".removesuffix(" ()") for piece in pieces]
        )
        reader.note(f"Read are {len(pieces)} tables of the zip that have the same columns: {named}.")
        if LABEL in pieces[0].said:
            reader.note("They have no column of labels: the name of each is the class of its rows.")
    used = {chosen, *(piece.name for piece in pieces)}
    if others := [name for name in tables if name not in used]:
        read = "" if len(pieces) > 1 else f"Read is {chosen!r} of the zip; "
        words = f"{read}left out are its other tables: {listed([*map(repr, others)])}."
        reader.note(f"{words[0].upper()}{words[1:]}")
    reader.choices["member"] = [name for name in tables if used != {name}]
    return reader


def holds_tables(path: Path, limits: Limits) -> bool:
    """Tell whether a zip holds tables or text files, and nothing that may be a photo."""
    try:
        return holds_tables_by_name(list(_sizes(path, limits)))
    except DataError:
        return False


def holds_tables_by_name(names: Sequence[str]) -> bool:
    """Tell the same by the names of a zip's files."""
    tables, are_folders = _tables_of(names)
    if not (tables or are_folders) or any(is_photo(name) for name in names):
        return False
    if any(name.lower().endswith(ARCHIVES) and name not in tables for name in names):
        return False
    others = [name for name in names if not is_no_photo(name)]  # of no kind that is known
    return 2 * len(others) < len(names)


def _sizes(path: Path, limits: Limits) -> dict[str, int]:
    """Return the files of a zip that a person put into it, and how large they are."""
    with open_listing(path, limits) as listing:
        found = {
            entry.filename: entry.file_size
            for entry in listing.entries
            if not entry.filename.endswith("/")
            and not is_hidden_file(_parts(entry.filename))
            and not is_link(entry)
        }
    if not found:
        raise DataError("The archive holds no files. Put a table into it.")
    return found


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part) or ("",)


def _tables_of(names: Sequence[str]) -> tuple[list[str], bool]:
    """Return which files are tables, and whether there are none but folders of texts."""
    texts = [name for name in names if name.lower().endswith(OF_LINES)]
    tables = [name for name in names if name.lower().endswith(ENDINGS) and name not in texts]
    folders = {PurePosixPath(name).parent for name in texts if name.lower().endswith(".txt")}
    if not tables and len(folders) > 1:
        return [], True
    return tables or [name for name in texts if not is_no_photo(PurePosixPath(name).stem)], False


def _part_of(name: str) -> Part:
    """Return the part of a split that a table is called after."""
    return split_part(PurePosixPath(name).name.partition(".")[0])


def _is_for_training(name: str) -> bool:
    return "train" in PurePosixPath(name).stem.lower()


class _Opening(NamedTuple):
    """A zip whose tables are opened one by one."""

    path: Path
    limits: Limits
    corrections: Corrections
    open_table: OpenTable

    def with_same_columns(self, chosen: str, first: TableReader, tables: Sequence[str]) -> list[Piece]:
        """Return the tables that can be read as one with the chosen one, in the zip's order."""
        if not 1 < len(tables) <= MOST_TABLES or count_entries(self.path) > MOST_ENTRIES:
            return []  # each is opened, and the zip's list of files read for it
        pieces = []
        for name in tables:
            with contextlib.suppress(DataError):
                reader = first if name == chosen else self.reader_of(name)
                if reader.columns() == first.columns() and reader.sample():
                    pieces.append(Piece(name, reader))
        parts = Counter(_part_of(piece.name) for piece in pieces)
        if "train" in parts and len(parts) > 1 and SPLIT not in first.columns():
            named = [(piece, _part_of(piece.name)) for piece in pieces]
            pieces = [piece._replace(said={SPLIT: part}) for piece, part in named if part]
        for piece in pieces:
            first.notes.extend(note for note in piece.reader.notes if note not in first.notes)
        return pieces

    def of_a_class_each(self, tables: Sequence[str]) -> list[Piece]:
        """Return the tables when each holds the texts of a class that it is called after; none when they do not."""
        names = [PurePosixPath(name).stem for name in tables]
        if not 1 < len(set(names)) == len(tables) <= MOST_TABLES or count_entries(self.path) > MOST_ENTRIES:
            return []
        if any(map(_part_of, tables)) or are_pieces(names) or are_dates(names):
            return []
        for corrections in (self.corrections, replace(self.corrections, heading=False)):  # of lists of texts
            readers = [self._replace(corrections=corrections).reader_of(name) for name in tables]
            if are_unlabelled(readers):
                return [
                    Piece(name, reader, {LABEL: label})
                    for name, reader, label in zip(tables, readers, names, strict=True)
                ]
        return []

    def reader_of(self, name: str) -> TableReader:
        """Return the reader of one table. Raises `DataError` for a large one that has to be unpacked."""
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in JsonReader.suffixes:
            return ZippedJsonReader(self.path, self.limits, member=name, corrections=self.corrections)
        if suffix in CsvReader.suffixes or not name.lower().endswith(ENDINGS):
            return ZippedCsvReader(self.path, self.limits, member=name, corrections=self.corrections)
        folder = tempfile.TemporaryDirectory()
        unpacked = Path(folder.name) / f"table{suffix}"
        self._unpack(name, unpacked)
        reader = self.open_table(unpacked, self.limits, self.corrections)
        weakref.finalize(reader, folder.cleanup)
        return reader

    def _unpack(self, name: str, target: Path) -> None:
        """Write a file to where a reader can look at its end first."""
        member = _Member(self.path, name, self.limits)
        with target.open("wb") as file, contextlib.closing(member):
            for piece in iter(lambda: member.read(1 << 20), b""):
                if file.tell() + len(piece) > MOST_UNPACKED:
                    raise DataError(
                        f"{name!r} has more than {MOST_UNPACKED:,} bytes, the limit of such a table in a zip. "
                        "Send it as it is, without the zip."
                    )
                file.write(piece)


def _wanted(names: list[str], member: str | None) -> str:
    """Return the file that a person has named; "" where nobody has. Raises `DataError` when it is not there."""
    if member and member not in names:
        raise DataError(f"There is no file {member!r} in the zip. It has: {listed([*map(repr, names)])}.")
    return member or ""
