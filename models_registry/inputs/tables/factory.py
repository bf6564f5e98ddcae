"""Which reader reads a file."""

from pathlib import Path

from ..errors import DataError
from ..limits import Limits
from .base import TableReader
from .delimited import CsvReader, TsvReader
from .json_lines import JsonLinesReader
from .parquet import ParquetReader

READERS: dict[str, type[TableReader]] = {
    suffix: reader
    for reader in (CsvReader, TsvReader, JsonLinesReader, ParquetReader)
    for suffix in reader.suffixes
}
TABLE_SUFFIXES = tuple(READERS)


def open_table(path: Path, limits: Limits | None = None) -> TableReader:
    """Return the reader for a file, by its suffix. Raises `DataError` that lists the known ones."""
    try:
        reader = READERS[path.suffix.lower()]
    except KeyError:
        raise DataError(f"{path.name} is no table. Known: {', '.join(TABLE_SUFFIXES)}.") from None
    return reader(path, limits or Limits())
