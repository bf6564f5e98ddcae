"""A data set's validation report as its page shows it; tolerates reports of older versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models_registry.artifacts.metadata import TEXT_CLASSIFICATION

SHOWN = 20  # rows of a list that may have thousands
ROWS = 8  # sentences that are shown


@dataclass(frozen=True)
class ClassCount:
    """A class, how many examples it has, and that as percent of the largest class."""

    name: str
    count: int
    percent: float
    pictures: Sequence[str] = ()  # addresses that hold a JPEG themselves


@dataclass(frozen=True)
class ReportSummary:
    """What a person wants to know of a data set."""

    classes: Sequence[ClassCount]
    duplicates: int
    conflicting: int
    unreadable: Sequence[Mapping[str, object]]
    unreadable_more: int
    warnings: Sequence[str]
    majority_percent: float | None
    rows: Sequence[tuple[str, str]]  # of a table: a sentence and its label
    problems: Sequence[str] = ()
    language: str = ""

    @property
    def pictured(self) -> bool:
        """Whether some classes show what is in them."""
        return any(row.pictures for row in self.classes)


def summarise(report: Mapping[str, object], names: Sequence[str]) -> ReportSummary:
    """Return a report's summary; a data set without one still has its class names."""
    counted = report.get("classes")
    counts = counted if isinstance(counted, dict) else dict.fromkeys(names, 0)
    largest = max(counts.values(), default=0)
    unreadable = [entry for entry in _listed(report.get("unreadable")) if isinstance(entry, dict)]
    unreadable_count = max(_count(report.get("unreadable_count")), len(unreadable))
    majority = report.get("majority_baseline")
    samples = report.get("samples")
    shown = report.get("thumbnails")
    pictures = shown if isinstance(shown, dict) else {}
    return ReportSummary(
        classes=[
            ClassCount(
                name,
                count,
                round(100 * count / largest, 1) if largest else 0.0,
                [f"data:image/jpeg;base64,{content}" for content in _listed(pictures.get(name))],
            )
            for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ],
        duplicates=_count(report.get("duplicates")),
        conflicting=_count(report.get("conflicting_duplicates")),
        unreadable=unreadable[:SHOWN],
        unreadable_more=max(0, unreadable_count - SHOWN),
        warnings=[str(words) for words in _listed(report.get("warnings"))],
        majority_percent=100 * majority if isinstance(majority, int | float) else None,
        rows=_rows(samples) if report.get("task_type") == TEXT_CLASSIFICATION else [],
        problems=[str(words) for words in _listed(report.get("problems"))],
        language=_language(report.get("language")),
    )


def _language(found: object) -> str:
    return str(found.get("name", "")) if isinstance(found, dict) else ""


def _rows(samples: object) -> list[tuple[str, str]]:
    """Return one sentence of each of the first classes."""
    shown = [(name, _listed(texts)) for name, texts in samples.items()] if isinstance(samples, dict) else []
    return [(str(texts[0]), name) for name, texts in shown if texts][:ROWS]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    """Return how many; reports count or list."""
    if isinstance(value, list | dict):
        return len(value)
    return int(value) if isinstance(value, int | float) else 0
