"""Which reader reads a file."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
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
from .workbooks import open_workbook
from .zipped import open_zip

READERS: dict[str, type[TableReader]] = {
    suffix: reader
    for reader in (CsvReader, JsonReader, ParquetReader, SheetReader, PackedCsvReader)
    for suffix in reader.suffixes
}
TABLE_SUFFIXES = tuple(READERS)
JSON = re.compile(rb'\s*(\[\s*)?\{\s*"|\s*\[\s*\["')  # a list of lists, too
MARKUP = re.compile(rb"(?i)\s*<(\?xml|!doctype|html|table|head|body|style|meta)")
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
        return open_workbook(path, limits, corrections)
    if start.startswith(ZIP) or suffix == ".zip":
        return open_zip(path, limits, corrections, open_table)
    if is_packed(start) or suffix in PackedCsvReader.suffixes:
        return open_packed(path, limits, corrections)
    if start.startswith(PARQUET):
        return ParquetReader(path, limits, corrections=corrections)
    return _reader_of_text(suffix, start)(path, limits, corrections=corrections)


def _reader_of_text(suffix: str, start: bytes) -> type[TableReader]:
    """Return the reader of a file that is no archive: what programs write under another's suffix is read as what it is.

    Raises `DataError` for a page of the web that is called as a spreadsheet.
    """
    reader, text = READERS[suffix], start.removeprefix(BOM_UTF8)
    if issubclass(reader, SheetReader):
        if MARKUP.match(text):
            raise DataError(
                f"This is no spreadsheet but a web page that is called {suffix}, as some programs write it. Open it in "
                'your spreadsheet program and save it as "CSV UTF-8".'
            )
        is_text = b"\0" not in start or start.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        return CsvReader if start and is_text else reader
    if issubclass(reader, CsvReader):
        if text.lstrip().startswith(FASTTEXT):
            return FastTextReader
        return JsonReader if JSON.match(text) else reader
    if issubclass(reader, JsonReader) and suffix == ".json" and text.strip():
        return reader if text.lstrip()[:1] in (b"{", b"[", b'"') or b"\0" in text else CsvReader
    return reader


def _is_sheet(path: Path, start: bytes) -> bool:
    """Tell whether a zip is a spreadsheet: by its first file, or by its list of files at the end."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        tail = file.read()
    return any(mark in part for mark in SHEETS_IN_ZIP for part in (start, tail))
