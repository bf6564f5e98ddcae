"""What people hand in, read with care: zips of images and tables of texts.

Training reads data sets with it and inference batches, so it lies below both. Knows neither Django nor
torch. Nothing is believed that a header claims: limits are checked on what really comes out.
"""

from .archives import count_entries, is_litter, open_archive, read_member
from .budgets import ArchiveBudget, TooManyPixels
from .errors import DataError
from .limits import Limits
from .tables import (
    TABLE_SUFFIXES,
    Columns,
    Row,
    UnclearColumns,
    open_table,
    resolve_columns,
    resolve_text_column,
)

__all__ = [
    "TABLE_SUFFIXES",
    "ArchiveBudget",
    "Columns",
    "DataError",
    "Limits",
    "Row",
    "TooManyPixels",
    "UnclearColumns",
    "count_entries",
    "is_litter",
    "open_archive",
    "open_table",
    "read_member",
    "resolve_columns",
    "resolve_text_column",
]
