"""Tables of texts: one reader a file format, chosen by the file's suffix."""

from .base import BLANK, NUL, Row, TableReader
from .columns import (
    Columns,
    UnclearColumns,
    are_measures,
    find_columns_of,
    likely_columns,
    resolve_columns,
    resolve_text_column,
)
from .encodings import find_encoding
from .factory import TABLE_SUFFIXES, open_table
from .parquet_images import holds_photos
from .splits import find_split_column, part_of_cell
from .zipped import holds_tables, holds_tables_by_name

__all__ = [
    "BLANK",
    "NUL",
    "TABLE_SUFFIXES",
    "Columns",
    "Row",
    "TableReader",
    "UnclearColumns",
    "are_measures",
    "find_columns_of",
    "find_encoding",
    "find_split_column",
    "holds_photos",
    "holds_tables",
    "holds_tables_by_name",
    "likely_columns",
    "open_table",
    "part_of_cell",
    "resolve_columns",
    "resolve_text_column",
]
