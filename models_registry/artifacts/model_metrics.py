"""What is known of a model's quality: the shape of its metrics, as training writes and its page reads them.

Fractions are 0…1, losses in nats. What comes from another platform or an older release may lack any key, so that
whoever reads metrics from a row or a document takes them for a mapping of anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

ClassMetrics = TypedDict(
    "ClassMetrics", {"class": str, "precision": float, "recall": float, "f1": float, "support": int}
)


class CalibrationBin(TypedDict):
    """Answers of alike confidence: its mean, how many of them are right, and their share of all."""

    confidence: float
    accuracy: float
    share: float


class ConfusedPair(TypedDict):
    """How many examples of one class, `label`, are taken for another."""

    label: str
    predicted: str
    count: int


class MistakeMetrics(TypedDict, total=False):
    """An example that the model is wrong about; an image has a small JPEG in base64."""

    input: str
    label: str
    predicted: str
    probability: float
    thumbnail: str


class ViewMetrics(TypedDict):
    """What a text model could read, or a way to train: its mean loss and accuracy.

    Those are `alike` that have the least loss, or more by no more than chance explains.
    """

    name: str
    loss: float
    accuracy: float
    alike: NotRequired[bool]


class ReadingMetrics(TypedDict):
    """How much a network sees of long texts: how many of the `texts` are longer than the `tokens` that it reads at a
    time, in how many `windows` it reads them, and which share of the longer ones' words it never saw."""

    tokens: int
    windows: int
    texts: int
    longer: int
    unseen: float


class ParityMetrics(TypedDict):
    """How far two files of a model differ on validation examples."""

    max_abs_difference: float
    changed_labels: int
    samples: int


class QuantizedMetrics(ParityMetrics):
    """How the .onnx of eight bits compares with the full one, and whether it is published."""

    published: bool


class TestMetrics(TypedDict):
    """The figures of the data set's own test part, of which nothing was learnt and by which nothing was chosen.

    `copies` are its examples that are left out because training had the same, `unknown` those of classes that the
    model does not have.
    """

    examples: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    per_class: list[ClassMetrics]
    copies: int
    unknown: int


class Evaluation(TypedDict):
    """The figures of the validation part; the confusion matrix is None with too many classes.

    `accuracy_low` and `accuracy_high` are the 95 % interval of the accuracy.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    majority_baseline: float
    calibration_error: float
    calibration: list[CalibrationBin]
    per_class: list[ClassMetrics]
    confusion_matrix: list[list[int]] | None
    most_confused: list[ConfusedPair]
    worst_mistakes: list[MistakeMetrics]


class DataMetrics(TypedDict, total=False):
    """How many of the `examples`, training and validation together, stand for themselves.

    `near_copies` counts those beyond the first of each bundle of copies and near copies, `lookalikes` are classes of
    near copies of one another. `groups` counts the groups that the data name.
    """

    examples: int
    near_copies: int
    lookalikes: list[str]
    groups: int


class ModelMetrics(Evaluation, DataMetrics, total=False):
    """The evaluation and how the model came about.

    `curve` has the figures of every epoch, or of every strength of a head's regularisation, and `chosen_point` an
    index of it; `settings` are the hyperparameters that were used, `unused_settings` names those that were given
    for nothing, `arithmetic` is what steps were computed in. `learnt_pieces` is how many pieces of words a
    tokenizer knows that was made of the data. `reading` is there where texts are longer than what the network reads
    at a time. `candidates` are the answers that were compared, those of *Fast* and *Accurate* or all that *Best* has
    tried, `kept` the name of the one that was published; with `too_few_to_train` nothing was tried beside *Fast*. With
    `features_in_eight_bits` the head was fitted on what the network of eight bits sees. `phase_seconds` and `parity`
    are added when the model is published.

    With `cross_validated` the figures are those of every example, held out in turn. `naive_accuracy` is about what a
    split that draws each example on its own would have claimed.
    """

    train_examples: int
    validation_examples: int
    curve: list[dict[str, float]]
    chosen_point: int
    best_epoch: int
    resumed_from_epoch: int
    regularisation: float
    refit_on_all: bool
    unreadable: int
    settings: dict[str, object]
    arithmetic: str
    unused_settings: list[str]
    trained_stages: int
    learnt_pieces: int
    views: list[ViewMetrics]
    view: str
    reading: ReadingMetrics
    candidates: list[ViewMetrics]
    kept: str
    too_few_to_train: bool
    features_in_eight_bits: bool
    int8: QuantizedMetrics
    test: TestMetrics
    cross_validated: bool
    naive_accuracy: float
    parity: ParityMetrics
    phase_seconds: dict[str, float]


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of an accuracy as it is shown: percent, 0 to 100."""

    low: float
    high: float

    def __str__(self) -> str:
        """Return it in words."""
        return f"95 % interval {self.low:.1f} to {self.high:.1f} %"


def interval_of(metrics: object) -> Interval | None:
    """Return the interval that a model's metrics, or those of its test part, have; None where there is none."""
    if not isinstance(metrics, Mapping):
        return None
    low, high = metrics.get("accuracy_low"), metrics.get("accuracy_high")
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not 0 <= low <= high <= 1:
        return None
    return Interval(round(100 * low, 2), round(100 * high, 2))


@dataclass(frozen=True)
class TestSet:
    """The figures of a test part as they are shown: percent, 0 to 100."""

    examples: int
    accuracy: float
    macro_f1: float
    copies: int
    unknown: int
    interval: Interval | None = None

    def __str__(self) -> str:
        """Return the figures that count, in words."""
        interval = f" ({self.interval})" if self.interval else ""
        return f"test set: {self.examples:,} examples, accuracy {self.accuracy:.2f} %{interval}"


def test_set_of(metrics: Mapping[str, object]) -> TestSet | None:
    """Return what a model's metrics have of a test part; None where there is none."""
    found = metrics.get("test")
    if not isinstance(found, dict):
        return None
    numbers = [found.get(name, 0) for name in ("examples", "accuracy", "macro_f1", "copies", "unknown")]
    if not all(isinstance(number, int | float) for number in numbers) or not numbers[0]:
        return None
    examples, accuracy, macro_f1, copies, unknown = numbers
    return TestSet(
        int(examples), 100 * accuracy, 100 * macro_f1, int(copies), int(unknown), interval_of(found)
    )
