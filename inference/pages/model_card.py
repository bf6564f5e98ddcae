"""The metrics of a model as its page shows them; those that older and external models lack are left out."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from models_registry.artifacts.model_metrics import TestSet, test_set_of

MATRIX_CLASSES = 16  # more would not fit a page; the list of confusions says it then
CONFUSIONS = 8
MISTAKES = 8
HEATS = 9  # shades of a cell
GOOD_CALIBRATION = 5  # percent between how sure a model is and how often it is right
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


@dataclass(frozen=True)
class ClassQuality:
    """Precision, recall and F1 of a class in percent, and the number of its validation examples."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int | None


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: examples of the row's class predicted as the column's; `heat` is 0 to 9."""

    count: int
    heat: int
    right: bool


@dataclass(frozen=True)
class Confusion:
    """A pair of classes that were confused, with the number of examples."""

    truth: str
    taken_for: str
    count: int


@dataclass(frozen=True)
class Mistake:
    """A confident mistake; probability in percent."""

    name: str
    truth: str
    predicted: str
    percent: float | None
    picture: str = ""  # an address that holds a JPEG itself


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: mean confidence, accuracy and share of the predictions, in percent."""

    confidence: float
    accuracy: float
    share: float

    @property
    def top(self) -> float:
        """Return the bin's distance from the top of a drawing of 100 by 100."""
        return 100 - self.accuracy

    @property
    def fell_short_at(self) -> float:
        """Return that distance for a perfectly calibrated model."""
        return 100 - self.confidence

    @property
    def radius(self) -> float:
        """Return the radius of the bin's circle; the area is proportional to its share."""
        return 1.5 + 0.45 * math.sqrt(self.share)


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model; `error` is the expected calibration error in percent."""

    bins: Sequence[Bin]
    error: float

    @property
    def words(self) -> str:
        """Return the calibration in a sentence."""
        if self.error < GOOD_CALIBRATION:
            return "Well calibrated: its confidence matches how often it is right."
        sure, right = (
            sum(one.share * value for one, value in zip(self.bins, values, strict=True))
            for values in ([one.confidence for one in self.bins], [one.accuracy for one in self.bins])
        )
        if sure > right:
            return "Overconfident: it is right less often than its confidence says."
        return "Underconfident: it is right more often than its confidence says."


@dataclass(frozen=True)
class View:
    """A variant of a model (network, n-grams, both; Fast, Accurate), its accuracy in percent, if it was published.

    Those are `alike` that have the least loss, or more by no more than chance explains.
    """

    name: str
    accuracy: float | None
    chosen: bool
    alike: bool


@dataclass(frozen=True)
class FileParity:
    """The largest difference between probabilities of two files of a model, and the number of examples compared."""

    samples: int | None
    changed_labels: int | None
    max_abs_difference: float | None


@dataclass(frozen=True)
class Reading:
    """How a network reads texts that are longer than its `tokens`, and how many of the training's texts are.

    `unseen` is the share of the longer ones' words that it never saw, in percent.
    """

    tokens: int
    windows: int
    texts: int
    longer: int
    unseen: float


@dataclass(frozen=True)
class ModelCard:
    """The metrics that a model's page shows."""

    macro_f1: float | None
    majority: float | None
    validation_examples: int | None
    cross_validated: bool
    near_copies: int | None  # examples beyond the first of each bundle
    near_copies_percent: float | None
    groups: int | None  # that the data name
    naive: float | None  # percent, what a split that draws each example on its own would have claimed
    lookalikes: Sequence[str]  # classes of near copies of one another
    test: TestSet | None
    per_class: Sequence[ClassQuality]
    matrix: Sequence[tuple[str, Sequence[Cell]]]
    confusions: Sequence[Confusion]
    mistakes: Sequence[Mistake]
    calibration: Calibration | None
    parity: FileParity | None  # of the .onnx and the .pt
    eight_bits: FileParity | None  # of the .onnx and the smaller one
    seen_in_eight_bits: bool  # the photos that it has learnt from
    training_seconds: float | None
    views: Sequence[View]
    reading: Reading | None  # of long texts
    learnt_pieces: int | None  # of words, in a tokenizer that was made of the data
    compared: Sequence[View]  # the answers of Fast and Accurate, where both were at hand
    too_few_to_train: bool
    refitted: bool  # the published head has learned from the validation part as well, after the measuring


def card_of(metrics: Mapping[str, object], classes: Sequence[str]) -> ModelCard:
    """Return what the metrics of a model hold, in the order and units of its page."""
    per_class = _per_class(metrics.get("per_class"), classes)
    matrix = _square(metrics.get("confusion_matrix"), len(classes))
    near_copies, examples = _count(metrics.get("near_copies")), _count(metrics.get("examples"))
    return ModelCard(
        macro_f1=_percent(metrics.get("macro_f1")),
        majority=_percent(metrics.get("majority_baseline")),
        validation_examples=_count(metrics.get("validation_examples")),
        cross_validated=metrics.get("cross_validated") is True,
        near_copies=near_copies,
        near_copies_percent=100 * near_copies / examples if near_copies and examples else None,
        groups=_count(metrics.get("groups")),
        naive=_percent(metrics.get("naive_accuracy")),
        lookalikes=[name for name in _list(metrics.get("lookalikes")) if isinstance(name, str)],
        test=test_set_of(metrics),
        per_class=per_class,
        matrix=_rows(matrix, classes) if len(classes) <= MATRIX_CLASSES else (),
        confusions=_confusions(metrics.get("most_confused")),
        mistakes=_mistakes(metrics.get("worst_mistakes")),
        calibration=_calibration(metrics.get("calibration")),
        parity=_parity(metrics.get("parity")),
        eight_bits=_parity(metrics.get("int8")),
        seen_in_eight_bits=metrics.get("features_in_eight_bits") is True,
        training_seconds=_total(metrics.get("phase_seconds")),
        views=_views(metrics.get("views"), metrics.get("view")),
        reading=reading_of(metrics),
        learnt_pieces=_count(metrics.get("learnt_pieces")),
        compared=_views(metrics.get("candidates"), metrics.get("kept")),
        too_few_to_train=bool(metrics.get("too_few_to_train")),
        refitted=bool(metrics.get("refit_on_all")),
    )


def reading_of(metrics: Mapping[str, object]) -> Reading | None:
    """Return how the network reads long texts; None where no text was longer than what it reads at a time."""
    found = metrics.get("reading")
    if not isinstance(found, dict):
        return None
    tokens, windows, texts, longer = (
        _count(found.get(key)) for key in ("tokens", "windows", "texts", "longer")
    )
    unseen = _percent(found.get("unseen"))
    if not tokens or not windows or not texts or not longer or unseen is None:
        return None
    return Reading(tokens, windows, texts, longer, unseen)


def _views(found: object, chosen: object) -> list[View]:
    return [
        View(
            name=str(row.get("name", "")),
            accuracy=_percent(row.get("accuracy")),
            chosen=row.get("name") == chosen,
            alike=row.get("alike") is True,
        )
        for row in _objects(found)
    ]


def _parity(value: object) -> FileParity | None:
    if not isinstance(value, dict) or not value:
        return None
    difference = value.get("max_abs_difference")
    return FileParity(
        samples=_count(value.get("samples")),
        changed_labels=_count(value.get("changed_labels")),
        max_abs_difference=float(difference) if isinstance(difference, int | float) else None,
    )


def _total(spent: object) -> float | None:
    """Return the seconds of all phases; None where no phase was measured."""
    phases = spent.values() if isinstance(spent, dict) else ()
    known = [seconds for seconds in phases if isinstance(seconds, int | float)]
    return sum(known) if known else None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int)


def _count(value: object) -> int | None:
    return value if _is_count(value) else None


def _percent(value: object) -> float | None:
    """Return a fraction as percent."""
    return 100 * float(value) if isinstance(value, int | float) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[Mapping[str, object]]:
    """Return the objects of a list, and nothing of anything else."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _per_class(value: object, classes: Sequence[str]) -> list[ClassQuality]:
    found = {str(row.get("class")): row for row in _objects(value)}
    return [
        ClassQuality(
            name=name,
            precision=_percent(found[name].get("precision")),
            recall=_percent(found[name].get("recall")),
            f1=_percent(found[name].get("f1")),
            support=_count(found[name].get("support")),
        )
        for name in classes
        if name in found
    ]


def _square(value: object, size: int) -> list[list[int]]:
    """Return a matrix of counts, or nothing when it does not fit the classes."""
    if not isinstance(value, list) or len(value) != size:
        return []
    fits = all(isinstance(row, list) and len(row) == size and all(map(_is_count, row)) for row in value)
    return value if fits else []


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


def _confusions(value: object) -> list[Confusion]:
    return [
        Confusion(str(row.get("label", "")), str(row.get("predicted", "")), _count(row.get("count")) or 0)
        for row in _objects(value)[:CONFUSIONS]
    ]


def _mistakes(value: object) -> list[Mistake]:
    return [
        Mistake(
            name=str(row.get("input", "")),
            truth=str(row.get("label", "")),
            predicted=str(row.get("predicted", "")),
            percent=_percent(row.get("probability")),
            picture=_picture(row.get("thumbnail")),
        )
        for row in _objects(value)[:MISTAKES]
    ]


def _picture(value: object) -> str:
    """Return the address of a JPEG in base64; nothing for anything else."""
    return f"data:image/jpeg;base64,{value}" if isinstance(value, str) and BASE64.fullmatch(value) else ""


def _calibration(value: object) -> Calibration | None:
    """Return the bins that are not empty, the lowest confidence first; None if all are."""
    bins = []
    for row in _objects(value):
        figures = [_percent(row.get(name)) for name in ("confidence", "accuracy", "share")]
        confidence, accuracy, share = figures
        if confidence is not None and accuracy is not None and share:
            bins.append(Bin(confidence, accuracy, share))
    if not bins:
        return None
    bins.sort(key=lambda one: one.confidence)
    total = sum(one.share for one in bins)
    error = sum(one.share * abs(one.confidence - one.accuracy) for one in bins) / total
    return Calibration(bins, error)
