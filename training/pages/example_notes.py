"""Why an example stands in a list: in words, and how certain that is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..examples.models import Example
from ..examples.selectors import near_copies_of

NAMED = 3  # classes of near copies that are named


class Note(NamedTuple):
    """Words, and how certain or how alike, 0 to 1; None where that says nothing."""

    words: str
    certainty: float | None


def notes_of(
    show: str, examples: Sequence[Example], alike: Mapping[int, float] | None = None
) -> list[Note | None]:
    """Return the note of each example; `alike` says how alike each is to the one that others are compared with."""
    if alike is not None:
        return [Note("alike", alike[one.pk]) if one.pk in alike else None for one in examples]
    if show == "doubt":
        return [Note(f"rather {one.suggested}?", one.doubt) if one.suggested else None for one in examples]
    if show == "near_copy":
        groups = near_copies_of(examples)
        return [_of_copies(one, groups.get(one.near_copy_of, [])) for one in examples]
    if show == "odd_one":
        return [Note("unlike all others", None) for one in examples]
    return [None for _ in examples]


def _of_copies(example: Example, group: Sequence[Example]) -> Note:
    """Say where the near copies of an example are, as far as they are elsewhere."""
    others = [one for one in group if one.pk != example.pk]
    labels = sorted({one.label for one in others} - {example.label})
    words = "copies"
    if labels:
        words += f" in {', '.join(labels[:NAMED])}{' …' if len(labels) > NAMED else ''}"
    if {one.split for one in others} - {example.split}:
        words += ", on both sides of the split"
    return Note(words, example.likeness)
