"""The classes that a person wants of those that folders or a table name: renamed, merged, left out."""

from collections.abc import Iterable

from ..corrections import Corrections
from .plan import NOT_WANTED, Placed


def wanted(examples: Iterable[Placed], left_out: dict[int, str], corrections: Corrections) -> list[Placed]:
    """Return examples under the classes that are wanted; the others become `left_out`."""
    found = []
    for placed in examples:
        label = corrections.class_of(placed.label)
        if label is None:
            left_out[placed.place] = NOT_WANTED
        else:
            found.append(placed._replace(label=label))
    return found
