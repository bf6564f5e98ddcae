"""Files and rows of a data set that are no examples, counted by the reason."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypedDict

from models_registry.inputs import Corrections, small_classes

FEWEST = 2  # examples of a class, one for each side of the split
NAMED = 5  # names of each reason
MOST_REASONS = 20  # that are told apart
OTHER_REASONS = "further reasons"


class LeftOutFiles(TypedDict):
    """A reason as plain data."""

    reason: str
    count: int
    names: list[str]


class Reason(NamedTuple):
    """Why some files or rows are no examples, how many they are, and the first of their names."""

    reason: str
    number: int
    names: list[str]

    def to_json(self) -> LeftOutFiles:
        """Return plain data."""
        return {"reason": self.reason, "count": self.number, "names": self.names}


class Reasons:
    """Counts what is left out, by its reason; of many reasons the last ones together."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, names: Iterable[str], count: int = 1) -> None:
        """Count files or rows; of the names the first ones are kept."""
        if reason not in self._counts and len(self._counts) >= MOST_REASONS:
            reason = OTHER_REASONS
        self._counts[reason] = self._counts.get(reason, 0) + count
        shown = self._names.setdefault(reason, [])
        for name in names:
            if len(shown) >= NAMED:
                return
            shown.append(name)

    def listed(self) -> list[Reason]:
        """Return the reasons, the most frequent first."""
        counts = sorted(self._counts.items(), key=lambda pair: -pair[1])
        return [Reason(reason, count, self._names[reason]) for reason, count in counts]


def of_small_classes(least: int) -> str:
    """Return the reason of examples whose class has fewer than `least`."""
    return f"examples of classes with fewer than {least:,}"


def leave_out_small(
    counts: Mapping[str, int], distinct: Mapping[str, int], corrections: Corrections
) -> tuple[set[str], set[str]]:
    """Return the classes that are left out: those smaller than was asked for, then those that cannot be validated.

    `distinct` counts different examples. The latter are left out only where two other classes remain.
    """
    small = small_classes(counts, corrections)
    kept = counts.keys() - small
    lone = {name for name in kept if distinct[name] < FEWEST}
    return small, lone if len(kept) - len(lone) >= 2 else set()
