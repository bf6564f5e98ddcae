"""A model's metrics as its page shows them; tolerates what older and foreign models lack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MATRIX_CLASSES = 16  # more would not fit a page; the list of confusions says it then
CONFUSIONS = 8
MISTAKES = 8
HEATS = 9  # shades of a cell


@dataclass(frozen=True)
class ClassQuality:
    """How well one class is recognised; percent, and how many examples say so."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int | None


@dataclass(frozen=True)
class Cell:
    """How many examples of a row's class were taken for a column's; `heat` is 0 to 9."""

    count: int
    heat: int
    right: bool


@dataclass(frozen=True)
class Confusion:
    """One class that was taken for another."""

    truth: str
    taken_for: str
    count: int


@dataclass(frozen=True)
class Mistake:
    """An example that the model was sure and wrong about; probability in percent."""

    name: str
    truth: str
    predicted: str
    percent: float | None


@dataclass(frozen=True)
class ModelCard:
    """What a model's page says about its quality."""

    macro_f1: float | None
    majority: float | None
    validation_examples: int | None
    per_class: Sequence[ClassQuality]
    matrix: Sequence[tuple[str, Sequence[Cell]]]
    confusions: Sequence[Confusion]
    mistakes: Sequence[Mistake]
    parity: Mapping[str, Any]
    training_seconds: float | None
    refitted: bool  # the published head has learned from the validation part as well, after the measuring


def card_of(metrics: Mapping[str, Any], classes: Sequence[str]) -> ModelCard:
    """Return what the metrics of a model hold, in the order and units of its page."""
    per_class = _per_class(metrics.get("per_class"), classes)
    matrix = _square(metrics.get("confusion_matrix"), len(classes))
    parity, spent = metrics.get("parity"), metrics.get("phase_seconds")
    return ModelCard(
        macro_f1=_percent(metrics.get("macro_f1")),
        majority=_percent(metrics.get("majority_baseline")),
        validation_examples=metrics.get("validation_examples"),
        per_class=per_class,
        matrix=_rows(matrix, classes) if len(classes) <= MATRIX_CLASSES else (),
        confusions=_confusions(metrics.get("most_confused")),
        mistakes=_mistakes(metrics.get("worst_mistakes")),
        parity=parity if isinstance(parity, dict) else {},
        training_seconds=sum(spent.values()) if isinstance(spent, dict) and spent else None,
        refitted=bool(metrics.get("refit_on_all")),
    )


def _percent(value: Any) -> float | None:
    """Return a fraction as percent."""
    return 100 * float(value) if isinstance(value, int | float) else None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list, and nothing of anything else."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _per_class(value: Any, classes: Sequence[str]) -> list[ClassQuality]:
    found = {str(row.get("class")): row for row in _objects(value)}
    return [
        ClassQuality(
            name=name,
            precision=_percent(found[name].get("precision")),
            recall=_percent(found[name].get("recall")),
            f1=_percent(found[name].get("f1")),
            support=found[name].get("support"),
        )
        for name in classes
        if name in found
    ]


def _square(value: Any, size: int) -> list[list[int]]:
    """Return a matrix of counts, or nothing when it does not fit the classes."""
    if not isinstance(value, list) or len(value) != size:
        return []
    return value if all(isinstance(row, list) and len(row) == size for row in value) else []


def _rows(matrix: list[list[int]], classes: Sequence[str]) -> list[tuple[str, list[Cell]]]:
    rows = []
    for number, (name, counts) in enumerate(zip(classes, matrix, strict=False)):
        total = sum(counts) or 1
        cells = [
            Cell(count, min(HEATS, -(-HEATS * count // total)), column == number)
            for column, count in enumerate(counts)
        ]
        rows.append((name, cells))
    return rows


def _confusions(value: Any) -> list[Confusion]:
    return [
        Confusion(str(row.get("label", "")), str(row.get("predicted", "")), int(row.get("count", 0)))
        for row in _objects(value)[:CONFUSIONS]
    ]


def _mistakes(value: Any) -> list[Mistake]:
    return [
        Mistake(
            name=str(row.get("input", "")),
            truth=str(row.get("label", "")),
            predicted=str(row.get("predicted", "")),
            percent=_percent(row.get("probability")),
        )
        for row in _objects(value)[:MISTAKES]
    ]
