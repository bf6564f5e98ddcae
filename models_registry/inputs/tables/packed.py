"""Tables packed as a whole: by gzip, bzip2, xz or Zstandard."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar

from ..compression import open_unpacked
from ..corrections import Corrections
from ..limits import Limits
from .base import TableReader
from .delimited import CsvReader
from .json_values import JsonReader


@dataclass(frozen=True)
class PackedCsvReader(CsvReader):
    """A CSV packed as a whole."""

    suffixes: ClassVar[tuple[str, ...]] = (".gz", ".bz2", ".xz", ".zst")

    def open_bytes(self) -> BinaryIO:
        """Open what is packed."""
        return open_unpacked(self.path, self.limits.max_bytes)

    def bytes_count(self) -> int | None:
        """Return None: the size stands at the end of the file, and may lie."""
        return None


@dataclass(frozen=True)
class PackedJsonReader(JsonReader):
    """JSON packed as a whole."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    open_bytes = PackedCsvReader.open_bytes
    bytes_count = PackedCsvReader.bytes_count


def open_packed(path: Path, limits: Limits, corrections: Corrections) -> TableReader:
    """Return the reader of a table packed as a whole, by what it begins with."""
    reader = PackedCsvReader(path, limits, corrections=corrections)
    with reader.open_bytes() as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
    return PackedJsonReader(path, limits, corrections=corrections) if start[:1] in (b"{", b"[") else reader
