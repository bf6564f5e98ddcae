"""What people hand in, read with care: zips of images and tables of texts.

Training reads data sets with it and inference batches, so it lies below both. Knows neither Django nor
torch. Nothing is believed that a header claims: limits are checked on what really comes out.
"""

from .archives import Listing, count_entries, iter_member, open_archive, open_listing, read_member
from .budgets import ArchiveBudget, TooManyPixels
from .corrections import Corrections, small_classes
from .entry_names import other_readings
from .errors import DataError, ImageTooLarge
from .layout import (
    NOT_WANTED,
    SYSTEM_FILES,
    Entry,
    ImportPlan,
    Part,
    by_level,
    is_litter,
    is_no_photo,
    levels_of,
    photos_of,
    plan_images,
    plan_labels,
    reasons,
    split_part,
)
from .limits import Limits
from .repacking import TAR_SUFFIXES, NeedsMoreRoom, Room, repack
from .tables import (
    TABLE_SUFFIXES,
    Columns,
    Row,
    TableReader,
    UnclearColumns,
    are_measures,
    find_columns_of,
    holds_photos,
    open_table,
    part_of_cell,
    resolve_columns,
    resolve_text_column,
)

__all__ = [
    "NOT_WANTED",
    "SYSTEM_FILES",
    "TABLE_SUFFIXES",
    "TAR_SUFFIXES",
    "ArchiveBudget",
    "Columns",
    "Corrections",
    "DataError",
    "Entry",
    "ImageTooLarge",
    "ImportPlan",
    "Limits",
    "Listing",
    "NeedsMoreRoom",
    "Part",
    "Room",
    "Row",
    "TableReader",
    "TooManyPixels",
    "UnclearColumns",
    "are_measures",
    "by_level",
    "count_entries",
    "find_columns_of",
    "holds_photos",
    "is_litter",
    "is_no_photo",
    "iter_member",
    "levels_of",
    "open_archive",
    "open_listing",
    "open_table",
    "other_readings",
    "part_of_cell",
    "photos_of",
    "plan_images",
    "plan_labels",
    "read_member",
    "reasons",
    "repack",
    "resolve_columns",
    "resolve_text_column",
    "small_classes",
    "split_part",
]
