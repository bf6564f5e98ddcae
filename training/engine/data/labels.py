"""What the names of a table's classes give away: several labels in one field, measures, the same class twice.

Pure functions of the classes' counts.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import islice

from models_registry.inputs import are_measures

SEVERAL = 0.2  # share of the examples with several labels, from which they are meant so
SHOWN = 5  # groups of names that are listed
MANY, DIFFERENT = 20, 0.6  # labels, and of the examples, from which on they tell no classes apart
SHOWN_CHARACTERS = 40
PARTS = 20_000  # labels that are looked at


def alone(label: str) -> str:
    """Return the only label of a list of one, as programs write them; any other label as it is."""
    if label[:1] != "[" or label[-1:] != "]":
        return label
    found = _of_json(label)
    return found[0].strip() or label if len(found) == 1 else label


def why_no_classes(counts: Mapping[str, int]) -> str:
    """Return why labels are no classes, one for an example, and what to do; "" for those that are."""
    if example := _several(counts):
        return (
            f"Many examples have several labels ({example!r}). A model here gives each text one label: keep "
            "one label for each row."
        )
    if are_measures(counts, sum(counts.values())):
        return (
            f"The labels are {len(counts):,} different numbers, such as {next(iter(counts))!r}, so they "
            "measure something. A model here tells classes apart and estimates no numbers: make a few ranges of them "
            "(low, medium, high)."
        )
    total = sum(counts.values())
    if len(counts) >= MANY and len(counts) > DIFFERENT * total:
        return (
            f"The labels are nearly all different ({len(counts):,} of {total:,} examples), such as "
            f"{next(iter(counts))[:SHOWN_CHARACTERS]!r}, so they are no classes. Name the column whose values repeat."
        )
    return ""


def names_alike(counts: Mapping[str, int]) -> list[list[str]]:
    """Return groups of classes whose names differ in case, blanks or a decimal ".0" only."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in counts:
        groups[_plain(name)].append(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def tell_alike(counts: Mapping[str, int]) -> str:
    """Return a warning of classes that may be the same; "" when there are none."""
    groups = names_alike(counts)
    if not groups:
        return ""
    shown = "; ".join(" and ".join(map(repr, group[:SHOWN])) for group in groups[:SHOWN])
    more = f"; and {len(groups) - SHOWN:,} more" if len(groups) > SHOWN else ""
    return f"Classes whose names differ in case or blanks only: {shown}{more}. If they are one, write them alike."


def _plain(name: str) -> str:
    plain = " ".join(re.sub(r"[\s_-]+", " ", name).split()).casefold()
    return re.sub(r"^([-+]?\d+)\.0+$", r"\1", plain)


def _several(counts: Mapping[str, int]) -> str:
    """Return a label that is made of several; "" when too few are."""
    total = sum(counts.values())
    for split in (_of_json, *(_at(separator) for separator in "|;,")):
        parts: Counter[str] = Counter()
        several, example = 0, ""
        for label, count in islice(counts.items(), PARTS):
            found = split(label)
            parts.update(found)
            if len(found) > 1:
                several += count
                example = example or label
        recurring = sum(count > 1 for count in parts.values())
        if several >= SEVERAL * total and len(parts) < len(counts) and 2 * recurring > len(parts):
            return example
        if split is _of_json and several >= SEVERAL * total:
            return example
    return ""


def _of_json(label: str) -> list[str]:
    if label[:1] in ("[", "{"):
        value = _parsed(label)
        if isinstance(value, dict):
            value = value.get("choices", [])
        if isinstance(value, list):
            return [str(one) for one in value]
    return [label]


def _parsed(label: str) -> object:
    """Return what JSON, or Python's way of writing lists, stands for; the label itself for another text."""
    try:
        return json.loads(label)
    except (ValueError, RecursionError):
        pass
    words = re.fullmatch(r"""\[\s*(?:(?:'[^']*'|"[^"]*")(?:\s*,\s*|\s*(?=\])))+\]""", label)
    return re.findall(r"""(?<=['"])[^'"]+(?=['"]\s*[,\]])""", label) if words else label


def _at(separator: str):  # type: ignore[no-untyped-def]
    def split(label: str) -> list[str]:
        return [part.strip() for part in label.split(separator) if part.strip()]

    return split
