"""Tables in a zip, one or several, and a text file for each example in folders."""

import contextlib
import io
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, ClassVar, NamedTuple, cast

from ..archives import count_entries, is_link, iter_member, open_listing, read_member
from ..bounded_file import buffered
from ..corrections import Corrections
from ..errors import DataError
from ..layout import Entry, ImportPlan, is_hidden_file, is_no_photo, is_photo, plan_images
from ..layout.names import Part, are_dates, are_pieces, listed, split_part
from ..limits import Limits
from .base import SAMPLE_ROWS, Row, TableFormat, TableReader, row_of
from .columns import UnclearColumns, find_columns_of, likely_columns, resolve_text_column
from .delimited import CsvReader
from .encodings import find_encoding
from .json_values import JsonReader
from .packed import PackedCsvReader
from .parquet import ParquetReader
from .sheets import SheetReader

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
SPLIT, LABEL, TEXT = "split", "label", "text"  # columns of what tables are called after, and of their texts
FEWEST_ROWS = 2  # of a table of one class


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


class _Piece(NamedTuple):
    """One of several tables; `said` is what its name says of all its rows, by column: a part of a split, or a class."""

    name: str
    reader: TableReader
    said: Mapping[str, str] = {}  # never changed


@dataclass(frozen=True)
class SeveralTables(TableReader):
    """Tables of a zip with the same columns, read one after the other.

    Where their names are those of a split's parts (train.csv, test.csv) or of classes (pos.txt, neg.txt), a further
    column says it of each row.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    pieces: Sequence[_Piece] = field(kw_only=True)

    def columns(self) -> list[str]:
        """Return the columns of all, and that of what their names say."""
        return [*self._own, *self.pieces[0].said]

    def sample(self) -> list[dict[str, str]]:
        """Return some of the first rows of each."""
        each = max(1, SAMPLE_ROWS // len(self.pieces))
        return [
            {**{name: row.get(own, "") for name, own in self._own.items()}, **piece.said}
            for piece in self.pieces
            for row in piece.reader.sample()[:each]
        ]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows of all, each named by its table and its place there."""
        wanted = [name for name in (text, label, *also) if name is not None]
        own = [name for name in dict.fromkeys(wanted) if name in self._own]
        count = 0
        for piece in self.pieces:
            first, *others = (self._own[name] for name in own or self._own)
            for row in piece.reader.rows(text=first, also=others):
                count += 1
                self.check_count(count)
                place = f"{piece.name}, {row.place}"
                if row.problem:
                    yield Row(place, "", problem=row.problem)
                else:
                    cells = {**dict(zip(own, (row.text, *row.also), strict=False)), **piece.said}
                    yield row_of(place, [cells[name] for name in wanted], also=len(also))

    def format(self) -> TableFormat:
        """Return how the first is understood, with the titles of all."""
        titles = sum(piece.reader.format().titles for piece in self.pieces)
        return self.pieces[0].reader.format()._replace(titles=titles)

    def other_readings(self) -> list[tuple[str, str]]:
        """Return those of the first."""
        return self.pieces[0].reader.other_readings()

    @cached_property
    def _own(self) -> dict[str, str]:
        """What the columns of the tables are called here; the only one of tables of a class each holds its texts."""
        own = self.pieces[0].reader.columns()
        is_texts = len(own) == 1 and LABEL in self.pieces[0].said
        return {TEXT: own[0]} if is_texts else {name: name for name in own}


@dataclass(frozen=True)
class TextFolderReader(TableReader):
    """A zip of text files in a folder for each class, planned as folders of photos are."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def columns(self) -> list[str]:
        """Return the names that such a table would have."""
        return ["text", "label", SPLIT] if self._plan.parts.keys() - {""} else ["text", "label"]

    def sample(self) -> list[dict[str, str]]:
        """Return the parts of a split, where there is one: what texts are is known."""
        if SPLIT not in self.columns():
            return []
        return [{SPLIT: part} for part in ("train", *self._plan.parts)]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the files, each with its class."""
        examples = sorted((*self._plan.examples, *self._plan.tests))
        with open_listing(self.path, self.limits, self.corrections.name_encoding) as listing:
            for count, placed in enumerate(examples, start=1):
                self.check_count(count)
                member = listing.entries[placed.place]
                content = read_member(listing.archive, member, self.limits)
                encoding = find_encoding([content])
                values = {
                    "text": content.decode(encoding.name, "surrogateescape").removeprefix("\ufeff"),
                    "label": placed.label,
                    SPLIT: placed.part,
                }
                fields = [values[name] for name in (text, label, *also) if name is not None]
                yield row_of(member.filename, fields, also=len(also))

    @cached_property
    def _plan(self) -> ImportPlan:
        """The files by their folders. Raises `DataError` for none."""
        said = self.corrections
        own = Corrections(class_level=said.class_level, use_split=said.use_split)
        with open_listing(self.path, self.limits, said.name_encoding) as listing:
            names = [entry.filename for entry in listing.entries]
        found = plan_images([_as_example(name) for name in names], own)
        if found.problem:
            raise DataError(
                "The texts lie in no class folders. Make one folder for each class, and zip these folders."
            )
        outside = [names[place] for place in sorted(found.left_out) if names[place].lower().endswith(".txt")]
        if outside:
            self.note(f"Text files outside the class folders are left out: {listed(outside)}.")
        return found


def _as_example(name: str) -> Entry:
    """Return a file as a plan of photos counts it: a text is one, whatever else there is is none."""
    folder, slash, file = name.rpartition("/")
    stem, _, suffix = file.rpartition(".")
    if stem and suffix.lower() == "txt":
        return Entry(f"{folder}{slash}{stem.replace('.', '_')}")
    return Entry(name if not file else f"{name}.txt", is_folder=not file)


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

    def with_same_columns(self, chosen: str, first: TableReader, tables: Sequence[str]) -> list[_Piece]:
        """Return the tables that can be read as one with the chosen one, in the zip's order."""
        if not 1 < len(tables) <= MOST_TABLES or count_entries(self.path) > MOST_ENTRIES:
            return []  # each is opened, and the zip's list of files read for it
        pieces = []
        for name in tables:
            with contextlib.suppress(DataError):
                reader = first if name == chosen else self.reader_of(name)
                if reader.columns() == first.columns() and reader.sample():
                    pieces.append(_Piece(name, reader))
        parts = Counter(_part_of(piece.name) for piece in pieces)
        if "train" in parts and len(parts) > 1 and SPLIT not in first.columns():
            named = [(piece, _part_of(piece.name)) for piece in pieces]
            pieces = [piece._replace(said={SPLIT: part}) for piece, part in named if part]
        for piece in pieces:
            first.notes.extend(note for note in piece.reader.notes if note not in first.notes)
        return pieces

    def of_a_class_each(self, tables: Sequence[str]) -> list[_Piece]:
        """Return the tables when each holds the texts of a class that it is called after; none when they do not."""
        names = [PurePosixPath(name).stem for name in tables]
        if not 1 < len(set(names)) == len(tables) <= MOST_TABLES or count_entries(self.path) > MOST_ENTRIES:
            return []
        if any(map(_part_of, tables)) or are_pieces(names) or are_dates(names):
            return []
        for corrections in (self.corrections, replace(self.corrections, heading=False)):  # of lists of texts
            readers = [self._replace(corrections=corrections).reader_of(name) for name in tables]
            if _are_unlabelled(readers):
                return [
                    _Piece(name, reader, {LABEL: label})
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


def _are_unlabelled(readers: Sequence[TableReader]) -> bool:
    """Tell whether tables have the same columns, one of texts among them and none that may hold their labels."""
    try:
        if len({tuple(reader.columns()) for reader in readers}) != 1:
            return False
        if any(len(reader.sample()) < FEWEST_ROWS for reader in readers):
            return False
        resolve_text_column(readers[0].columns(), sample=readers[0].sample())
        find_columns_of(readers[0], {})
    except UnclearColumns:
        return len(readers[0].columns()) == 1 or not likely_columns(readers[0])
    except DataError:
        return False
    return False


def _wanted(names: list[str], member: str | None) -> str:
    """Return the file that a person has named; "" where nobody has. Raises `DataError` when it is not there."""
    if member and member not in names:
        raise DataError(f"There is no file {member!r} in the zip. It has: {listed([*map(repr, names)])}.")
    return member or ""
