"""Which reader reads a file."""

from codecs import BOM_UTF8
from pathlib import Path

from ..compression import is_packed
from ..corrections import Corrections
from ..errors import DataError
from ..limits import Limits
from .base import TableReader
from .delimited import CsvReader
from .fasttext import START as FASTTEXT
from .fasttext import FastTextReader
from .json_values import JsonReader
from .packed import PackedCsvReader, open_packed
from .parquet import ParquetReader
from .sheets import SheetReader
from .zipped import open_zip

READERS: dict[str, type[TableReader]] = {
    suffix: reader
    for reader in (CsvReader, JsonReader, ParquetReader, SheetReader, PackedCsvReader)
    for suffix in reader.suffixes
}
TABLE_SUFFIXES = tuple(READERS)
ZIP, XLS, PARQUET = b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PAR1"
SHEETS_IN_ZIP = (b"xl/workbook", b"application/vnd.oasis.opendocument.spreadsheet")


def open_table(
    path: Path, limits: Limits | None = None, corrections: Corrections | None = None
) -> TableReader:
    """Return the reader for a file, by its suffix or, where its first bytes are another format's, by these.

    Raises `DataError` that lists the known suffixes.
    """
    limits, corrections = limits or Limits(), corrections or Corrections()
    suffix = path.suffix.lower()
    if suffix not in (*READERS, ".zip"):
        raise DataError(f"{path.name} is no table. Known: {', '.join(TABLE_SUFFIXES)}.")
    start = b""
    if path.exists():
        with path.open("rb") as file:
            start = file.read(1 << 12)
    if start.startswith(XLS) or (
        start.startswith(ZIP) and (suffix in SheetReader.suffixes or _is_sheet(path, start))
    ):
        return SheetReader(path, limits, corrections=corrections)
    if start.startswith(ZIP) or suffix == ".zip":
        return open_zip(path, limits, corrections, open_table)
    if is_packed(start) or suffix in PackedCsvReader.suffixes:
        return open_packed(path, limits, corrections)
    if start.startswith(PARQUET):
        return ParquetReader(path, limits, corrections=corrections)
    if issubclass(READERS[suffix], CsvReader) and start.removeprefix(BOM_UTF8).lstrip().startswith(FASTTEXT):
        return FastTextReader(path, limits, corrections=corrections)
    return READERS[suffix](path, limits, corrections=corrections)


def _is_sheet(path: Path, start: bytes) -> bool:
    """Tell whether a zip is a spreadsheet: by its first file, or by its list of files at the end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        tail = file.read()
    return any(mark in part for mark in SHEETS_IN_ZIP for part in (start, tail))
