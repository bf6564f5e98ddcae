"""What a plan of a data set is: its examples, what is left out and why, and what could be meant instead."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from models_registry.inputs import Corrections, Part

from ..left_out import FEWEST, Reason, Reasons, leave_out_small, of_small_classes

LISTED = 10  # classes in a sentence
PARTS: tuple[Part, ...] = ("train", "valid", "test")
UNKNOWN_CLASS = "examples of the test part whose classes are not trained"


class Suggestion(NamedTuple):
    """Corrections that may be meant: a button's label, a sentence, and what is put over the corrections that were said.

    Values replace those of their keys, also those of `merge` and `leave_out`, which therefore hold what was said, too.
    """

    label: str
    why: str
    corrections: dict[str, Any]


@dataclass
class DataPlan:
    """What would become of a data set; `problem` says why nothing can be trained on it.

    `is_complete` is False for what was worked out from the beginning of a table or from names alone. `parts` are the
    examples of a split that the data set brings: nothing is learnt from the part "test", which is not among the
    `examples`. Images have `levels`, the first folders of each level; tables have
    their `columns`, first `rows`, `encoding`, `separator`, `heading` and, of a workbook, `sheet`. `sheets` and
    `members` are what of a workbook or a zip could be read instead, `tables` files beside images that may hold their
    labels. `labels_from` is the one that these come from, `label_columns` its columns that may hold them, where that
    is not clear.
    """

    task_type: str
    examples: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    left_out: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    is_complete: bool = False
    levels: list[list[str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    encoding: str = ""
    separator: str = ""
    heading: bool = True
    sheet: str = ""
    sheets: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    labels_from: str = ""
    label_columns: list[str] = field(default_factory=list)
    corrections: dict[str, Any] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            **asdict(self),
            "left_out": [reason.to_json() for reason in self.left_out],
            "suggestions": [suggestion._asdict() for suggestion in self.suggestions],
        }


def judge_classes(
    plan: DataPlan, seen: Mapping[Part, Mapping[str, int]], reasons: Reasons, corrections: Corrections
) -> None:
    """Set the classes of a plan, those that are large enough, as a report does.

    `seen` are the examples of each class, by the part of the data set's own split ("": it brings none).
    """
    learnt, tests = Counter[str](), Counter[str]()
    has_train = any(seen.get(part) for part in ("", "train"))
    for part, found in seen.items():
        (tests if part == "test" and has_train else learnt).update(found)
    counts: Mapping[str, int] = learnt
    small, lone = leave_out_small(counts, counts, corrections)
    for least, names in ((corrections.min_examples or 0, small), (FEWEST, lone)):
        if names:
            reasons.add(of_small_classes(least), sorted(names), sum(counts[name] for name in names))
    plan.classes = {name: counts[name] for name in sorted(counts) if name not in small | lone}
    plan.examples = sum(plan.classes.values())
    kept = {part: sum(seen.get(part, {}).get(name, 0) for name in plan.classes) for part in PARTS}
    plan.parts = {part: count for part, count in kept.items() if count} if has_train else {}
    if unknown := {name: count for name, count in tests.items() if name not in plan.classes}:
        reasons.add(UNKNOWN_CLASS, sorted(unknown), sum(unknown.values()))
    plan.left_out = reasons.listed()


def why_too_few(classes: Mapping[str, int], advice: str = "") -> str:
    """Return why these are no classes to tell apart, with advice for a single one; "" when they are."""
    if not classes:
        return "There are no examples; a classifier needs two classes or more."
    if len(classes) < 2:
        one = f"There is only one class, {next(iter(classes))!r}; a classifier needs two classes or more."
        return f"{one} {advice}".rstrip()
    lone = [name for name, count in classes.items() if count < FEWEST]
    if lone:
        more = f" and {len(lone) - LISTED:,} more" if len(lone) > LISTED else ""
        named = ", ".join(map(repr, lone[:LISTED]))
        return (
            f"Classes with fewer than {FEWEST} examples: {named}{more}. Add some, or leave out the classes."
        )
    return ""


def shortened(values: Sequence[str], most: int = 200) -> list[str]:
    """Return texts for a table that is shown, cut where they are long; what is no text is shown as U+FFFD."""
    whole = [re.sub(r"[\ud800-\udfff]", "\ufffd", value) for value in values]
    return [value if len(value) <= most else f"{value[:most]}…" for value in whole]
