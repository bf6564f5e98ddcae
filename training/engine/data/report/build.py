"""Reads a data set once and reports on it."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models_registry.inputs import Corrections, Limits

from ..examples import Progress
from .conclusions import bundle_notes, judge, judge_unreadable, leave_out_small_classes, notes_of_tests
from .document import DataReport
from .seen import Seen
from .sources import SAMPLE_CHARACTERS, open_source

TRAIN_SHARE = 0.7  # of the split that leakage is counted for, the default one


def build_report(
    path: Path,
    *,
    task_type: str,
    columns: dict[str, str],
    corrections: Corrections | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> DataReport:
    """Read a data set once, in bounded memory. Raises `DataError` when it cannot be read at all.

    `columns` are those that were named, or found before; `corrections` hold against what would be guessed.
    `progress` is told of each example how many have been read, of how many (0: not known).
    """
    limits, corrections = limits or Limits(), corrections or Corrections()
    source = open_source(path, task_type, columns, corrections, limits, progress)
    seen = Seen(limits)
    with ThreadPoolExecutor(1) as beside:  # the digest takes no lock that the reading needs
        digest = beside.submit(_digest, path)
        for example in source.examples():
            seen.add(example)
        seen.settle_parts()
        report = _count(path, task_type, seen, digest.result())
    source.describe(report, seen)
    if not report.problems:
        _conclude(report, seen, limits, corrections)
    return report


def _conclude(report: DataReport, seen: Seen, limits: Limits, corrections: Corrections) -> None:
    """Add what follows from what was seen: classes that are left out, copies, the parts, warnings and problems."""
    copies = seen.counter.copies(TRAIN_SHARE)
    gone = leave_out_small_classes(report, copies, corrections)
    bundled = seen.bundling.bundled()
    report.near_copies, report.groups = seen.bundling.near_copies(bundled), seen.bundling.named
    report.validation = seen.given.used(gone, bundled.groups)
    report.warnings += [*seen.given.notes, *notes_of_tests(report, seen.tests)]
    judge(report, copies, limits, seen.conflicts)
    report.warnings += bundle_notes(report, sorted(set(bundled.loosened) - gone))
    judge_unreadable(report, sorted(seen.unreadable.labels - seen.counter.counts().keys()))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count(path: Path, task_type: str, seen: Seen, digest: str) -> DataReport:
    """Return the report of what was seen, without conclusions."""
    counts, names = seen.counter.counts(), seen.samples.names
    return DataReport(
        task_type=task_type,
        bytes=path.stat().st_size,
        sha256=digest,
        classes=dict(sorted(counts.items())),
        examples=counts.total(),
        unreadable=seen.unreadable.listed,
        unreadable_count=seen.unreadable.count,
        left_out=[reason.to_json() for reason in seen.left_out.listed()],
        samples={label: [name[:SAMPLE_CHARACTERS] for name in some] for label, some in names.items()},
    )
