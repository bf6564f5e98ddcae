"""A table's column that says which part of a split each row belongs to: "train", "valid" or "test"."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..layout.names import FILLERS, Part, name_words, part_of_word

USUAL_NAMES = """
split splits subset partition fold set part phase usage data_split dataset_split split_name data_set dataset
train_test train_test_split is_train_or_test aufteilung teilmenge
"""
NAMES = frozenset(USUAL_NAMES.split())
# Columns that ask, as fastai has them, and the parts of the rows that say yes and no.
QUESTIONS: dict[str, tuple[Part, Part]] = {
    **dict.fromkeys(("is_valid", "is_val", "is_validation", "is_dev"), ("valid", "train")),
    **dict.fromkeys(("is_train", "is_training"), ("train", "valid")),
    "is_test": ("test", "train"),
}
YES, NO = frozenset(("true", "t", "yes", "y", "1", "1.0")), frozenset(("false", "f", "no", "n", "0", "0.0"))


def is_name_of_split(name: str) -> bool:
    """Tell whether columns of this name usually hold the parts of a split."""
    return _plain(name) in NAMES or _plain(name) in QUESTIONS


@lru_cache(1024)
def part_of_cell(value: str, column: str = "") -> Part | None:
    """Return the part that a cell names in any usual spelling; "" for an empty cell, None for another word.

    In a `column` that asks, like "is_valid", cells say yes or no.
    """
    word = value.strip().casefold()
    if not word:
        return ""
    if (parts_of_answers := QUESTIONS.get(_plain(column))) and word in YES | NO:
        return parts_of_answers[word in NO]
    parts = [part_of_word(word) for word in name_words(value) if word not in FILLERS]
    return parts[0] if len(set(parts)) == 1 and parts[0] else None


def is_split(name: str, values: Sequence[str]) -> bool:
    """Tell whether a column of this name and these first values, without empty ones, is a split."""
    return is_name_of_split(name) and bool(values) and all(part_of_cell(value, name) for value in values)


def find_split_column(names: Sequence[str], sample: Sequence[Mapping[str, str]], taken: Sequence[str]) -> str:
    """Return the only column, but for those that are taken, that is a split; "" for none or several."""
    found = [
        name
        for name in names
        if name not in taken
        and is_split(name, [value for row in sample if (value := row.get(name, "").strip())])
    ]
    return found[0] if len(found) == 1 else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())
