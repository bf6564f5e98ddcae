"""Tables of texts: one reader a file format, chosen by the file's suffix."""

from .base import Row, TableReader
from .columns import (
    Columns,
    UnclearColumns,
    are_measures,
    find_columns_of,
    resolve_columns,
    resolve_text_column,
)
from .factory import TABLE_SUFFIXES, open_table
from .parquet_images import holds_photos
from .splits import part_of_cell

__all__ = [
    "TABLE_SUFFIXES",
    "Columns",
    "Row",
    "TableReader",
    "UnclearColumns",
    "are_measures",
    "find_columns_of",
    "holds_photos",
    "open_table",
    "part_of_cell",
    "resolve_columns",
    "resolve_text_column",
]
