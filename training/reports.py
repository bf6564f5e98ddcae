"""A data set's validation report as its page shows it; tolerates reports of older versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 20  # rows of a list that may have thousands


@dataclass(frozen=True)
class ClassCount:
    """A class, how many examples it has, and that as percent of the largest class."""

    name: str
    count: int
    percent: float


@dataclass(frozen=True)
class ReportSummary:
    """What a person wants to know of a data set."""

    classes: Sequence[ClassCount]
    duplicates: int
    conflicting: int
    unreadable: Sequence[Mapping[str, Any]]
    unreadable_more: int
    warnings: Sequence[str]
    majority_percent: float | None
    samples: Sequence[tuple[str, Sequence[str]]]


def summarise(report: Mapping[str, Any], names: Sequence[str]) -> ReportSummary:
    """Return a report's summary; a data set without one still has its class names."""
    counted = report.get("classes")
    counts = counted if isinstance(counted, dict) else dict.fromkeys(names, 0)
    largest = max(counts.values(), default=0)
    unreadable = [entry for entry in _listed(report.get("unreadable")) if isinstance(entry, dict)]
    unreadable_count = max(_count(report.get("unreadable_count")), len(unreadable))
    majority = report.get("majority_baseline")
    samples = report.get("samples")
    return ReportSummary(
        classes=[
            ClassCount(name, count, round(100 * count / largest, 1) if largest else 0.0)
            for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ],
        duplicates=_count(report.get("duplicates")),
        conflicting=_count(report.get("conflicting_duplicates")),
        unreadable=unreadable[:SHOWN],
        unreadable_more=max(0, unreadable_count - SHOWN),
        warnings=[str(words) for words in _listed(report.get("warnings"))],
        majority_percent=100 * majority if isinstance(majority, int | float) else None,
        samples=[(name, _listed(shown)) for name, shown in samples.items()][:SHOWN]
        if isinstance(samples, dict)
        else [],
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any) -> int:
    """Return how many; reports count or list."""
    if isinstance(value, list | dict):
        return len(value)
    return int(value) if isinstance(value, int | float) else 0
