"""Which class each photo of an archive belongs to, from the names of its files alone.

People bring class folders inside other folders, split into train and test, among the files that their systems
and tools leave. An import plan says for every file what becomes of it; nothing is read and nothing unpacked.
"""

from .folders import plan_images
from .labels import LabelRow, part_of_table, plan_labels
from .levels import by_level, levels_of
from .names import (
    Part,
    Parts,
    is_hidden_file,
    is_litter,
    is_no_photo,
    is_photo,
    listed,
    may_hold_labels,
    name_prefix,
    path_of,
    split_part,
)
from .plan import (
    LAYOUT,
    NOT_WANTED,
    OUTSIDE,
    SYSTEM_FILES,
    TEST_PART,
    UNLABELLED,
    Entry,
    ImportPlan,
    photos_of,
    reasons,
)

__all__ = [
    "LAYOUT",
    "NOT_WANTED",
    "OUTSIDE",
    "SYSTEM_FILES",
    "TEST_PART",
    "UNLABELLED",
    "Entry",
    "ImportPlan",
    "LabelRow",
    "Part",
    "Parts",
    "by_level",
    "is_hidden_file",
    "is_litter",
    "is_no_photo",
    "is_photo",
    "levels_of",
    "listed",
    "may_hold_labels",
    "name_prefix",
    "part_of_table",
    "path_of",
    "photos_of",
    "plan_images",
    "plan_labels",
    "reasons",
    "split_part",
]
