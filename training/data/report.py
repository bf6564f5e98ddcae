"""The data report: what a person sees before anything is queued."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import DataError
from .images import read_image_archive
from .limits import Limits
from .texts import read_text_table

SMALL_CLASS = 10  # examples; below it the validation of a class says little
FEWEST = 2  # examples of a class, one for each side of the split
LISTED = 50  # names of one kind that a report lists
SAMPLES = 3  # of each class


@dataclass
class DataReport:
    """What was found; `problems` forbid training, `warnings` do not. Sizes in bytes."""

    task_type: str
    bytes: int
    sha256: str
    classes: dict[str, int]
    examples: int
    unreadable: list[dict[str, str]] = field(default_factory=list)
    unreadable_count: int = 0
    duplicates: int = 0
    conflicting_duplicates: int = 0
    majority_baseline: float = 0.0
    imbalance: float = 1.0
    samples: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)


def build_report(
    path: Path, *, task_type: str, columns: dict[str, str], limits: Limits | None = None
) -> DataReport:
    """Read a data set whole and report on it. Raises `DataError` when it cannot be read at all."""
    limits = limits or Limits()
    if task_type == "imageclassification":
        images = read_image_archive(path, limits)
        names: list[str] = [example.name for example in images.examples]
        labels: Sequence[str] = [example.label for example in images.examples]
        contents: Sequence[Hashable] = [example.sha256 for example in images.examples]
        unreadable = images.unreadable
    elif task_type == "textclassification":
        table = read_text_table(
            path, input_column=columns["input"], label_column=columns["label"], limits=limits
        )
        names, labels, contents, unreadable = list(table.texts), table.labels, table.texts, table.unreadable
    else:
        raise DataError(f"{task_type!r} is no task. Known: imageclassification, textclassification.")
    counts = dict(sorted(Counter(labels).items()))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    report = DataReport(
        task_type=task_type,
        bytes=path.stat().st_size,
        sha256=digest,
        classes=counts,
        examples=len(labels),
        unreadable=[{"name": name, "reason": reason} for name, reason in unreadable[:LISTED]],
        unreadable_count=len(unreadable),
        samples=_samples(names, labels),
    )
    _count_duplicates(report, labels, contents)
    _judge(report, limits)
    return report


def _samples(names: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    samples: dict[str, list[str]] = {}
    for name, label in zip(names, labels, strict=True):
        shown = samples.setdefault(label, [])
        if len(shown) < SAMPLES:
            shown.append(name[:200])
    return samples


def _count_duplicates(report: DataReport, labels: Sequence[str], contents: Sequence[Hashable]) -> None:
    labels_of: dict[Hashable, set[str]] = {}
    for label, content in zip(labels, contents, strict=True):
        labels_of.setdefault(content, set()).add(label)
    report.duplicates = len(contents) - len(labels_of)
    report.conflicting_duplicates = sum(len(found) > 1 for found in labels_of.values())
    distinct = Counter(label for found in labels_of.values() for label in found)
    for label in [label for label, count in distinct.items() if count < FEWEST]:
        report.problems.append(
            f"Class {label!r} has fewer than {FEWEST} different examples. Add some, or remove the class."
        )


def _judge(report: DataReport, limits: Limits) -> None:
    """Draw the conclusions a person would."""
    counts = report.classes
    if len(counts) < 2:
        report.problems.append(
            f"There {'is only one class' if counts else 'are no readable examples'}; "
            "a classifier needs two classes or more."
        )
        return
    if len(counts) > limits.max_classes:
        report.problems.append(f"There are {len(counts):,} classes; the limit is {limits.max_classes:,}.")
    if any(len(name) > limits.max_class_name_chars for name in counts):
        report.problems.append(f"A class's name may have {limits.max_class_name_chars} characters.")
    report.majority_baseline = max(counts.values()) / report.examples
    report.imbalance = max(counts.values()) / min(counts.values())
    small = [name for name, count in counts.items() if FEWEST <= count < SMALL_CLASS]
    if small:
        report.warnings.append(f"Classes with fewer than {SMALL_CLASS} examples: {', '.join(small[:10])}.")
    if report.unreadable_count:
        report.warnings.append(f"Examples that cannot be read and are left out: {report.unreadable_count}.")
    if report.duplicates:
        report.warnings.append(
            f"Exact copies of other examples: {report.duplicates}. Copies stay on one side of the split."
        )
    if report.conflicting_duplicates:
        report.warnings.append(
            f"Examples that stand in more than one class: {report.conflicting_duplicates}. Decide for one class."
        )
    if report.imbalance > 10:
        report.warnings.append(
            f"The largest class has {report.imbalance:.0f} times the examples of the smallest."
        )
