"""Which column holds the texts and which the labels: what was said, or else what is usually meant."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..errors import DataError

SHOWN = 20  # names of columns that a message lists
# The documents' own names first; they stand for the others too.
USUAL_NAMES = {
    "input": ("input", "text", "texts", "sentence", "content", "message", "comment", "review", "utterance"),
    "label": ("label", "labels", "class", "category", "target", "intent", "sentiment"),
}


class UnclearColumns(DataError):
    """A table whose columns have to be named; `found` are those it has."""

    def __init__(self, words: str, found: Iterable[str]) -> None:
        super().__init__(words)
        self.found = tuple(found)


class Columns(NamedTuple):
    """The names of two columns."""

    text: str
    label: str


def resolve_columns(found: Iterable[str], wanted: Mapping[str, str]) -> Columns:
    """Return the columns of a table that `wanted` means by "input" and "label".

    A name that a person chose has to be there. The documents' own names, "input" and "label", also
    stand for the usual ones, in whatever case. Raises `UnclearColumns`.
    """
    names = list(found)
    if len(set(names)) != len(names):
        raise DataError("Two columns have the same name. Rename one.")
    text = _resolve(names, wanted.get("input") or "input", role="input")
    label = _resolve(names, wanted.get("label") or "label", role="label")
    if text == label:
        raise UnclearColumns(
            f"The texts and the labels cannot both be in the column {text!r}. Name two columns.", names
        )
    return Columns(text, label)


def resolve_text_column(found: Iterable[str], wanted: str = "") -> str:
    """Return the column that holds the texts: the one that was named, the usual one, or the only one.

    Raises `UnclearColumns`.
    """
    names = list(found)
    if len(names) == 1 and not wanted:
        return names[0]
    return _resolve(names, wanted or "input", role="input")


def _resolve(names: list[str], wanted: str, *, role: str) -> str:
    if wanted in names:
        return wanted
    usual = USUAL_NAMES[role] if wanted == role else ()
    meant = [name for name in names if name.strip().casefold() in usual]
    if len(meant) == 1:
        return meant[0]
    if meant:
        listed = ", ".join(map(repr, meant))
        raise UnclearColumns(f"Several columns could be the {role}: {listed}. Say which one it is.", names)
    there = ", ".join(repr(name) for name in names[:SHOWN])
    raise UnclearColumns(f"There is no column {wanted!r}. The table has: {there}.", names)
