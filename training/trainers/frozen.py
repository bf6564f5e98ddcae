"""The strategy `frozen`: the pretrained backbone stays as it is, only a linear head is trained.

The head's regularisation is chosen on the validation part, and every figure that is shown comes from
the head fitted on the training part alone. The head that is published is then fitted once more with
that regularisation on both parts (`refit_on_all` in the metrics): with few examples, the validation
part is worth too much to be left unused.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .backbones import PreparedBackbone
from .events import Progress, TrainingError
from .examples import Examples
from .features import extract_features
from .head import STRENGTHS, Head, PathPoint, refit_head, select_head
from .metrics import evaluate
from .plot import draw_accuracy
from .request import Hyperparameters, TrainingRequest


@dataclass(frozen=True)
class TrainedHead:
    """What `frozen` found: the head to publish, its figures, and which examples they were measured on."""

    head: Head
    classes: tuple[str, ...]
    metrics: dict[str, Any]
    accuracy_plot: str
    examples: Examples
    validation: tuple[int, ...]


def train_frozen(
    request: TrainingRequest,
    backbone: PreparedBackbone,
    examples: Examples,
    *,
    threads: int,
    progress: Progress,
) -> TrainedHead:
    """Train a head. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    progress.enter("features", "The pretrained network looks at every example", len(examples))
    features, unreadable = extract_features(backbone, examples, threads=threads, progress=progress)
    if unreadable:
        features = np.delete(features, list(unreadable), axis=0)
        examples = examples.without(frozenset(unreadable))
    if not np.isfinite(features).all():
        raise TrainingError("The network gave features that are no numbers. Report this with the data set.")
    progress.enter("fit", "The classifier learns the classes", len(STRENGTHS))
    split = examples.split(request.data_split, request.seed)
    train, validation = list(split.train), list(split.validation)
    labels = examples.labels

    def tell(number: int, point: PathPoint) -> None:
        shown = f"{100 * point.validation_accuracy:.1f} % of the validation part right"
        progress.tell(number, len(STRENGTHS), shown, point.to_json())

    selection = select_head(
        (features[train], labels[train]),
        (features[validation], labels[validation]),
        len(examples.classes),
        on_point=tell,
        check=progress.check,
    )
    probabilities = selection.head.probabilities(features[validation])
    names = [examples.names[index] for index in validation]
    metrics = evaluate(probabilities, labels[validation], examples.classes, names)
    head = refit_head(features, labels, selection.head, selection.strength, check=progress.check)
    metrics |= {
        "train_examples": len(train),
        "validation_examples": len(validation),
        "regularisation": selection.strength,
        "refit_on_all": True,
        "curve": [point.to_json() for point in selection.points],
        "chosen_point": selection.chosen,
        "unreadable": len(unreadable),
        "unused_settings": unused_settings(request.hyperparameters),
    }
    plot = draw_accuracy(selection.points, selection.chosen, metrics["majority_baseline"])
    return TrainedHead(head, examples.classes, metrics, plot, examples, split.validation)


def unused_settings(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of the given settings: a head with one best solution needs none of them."""
    return [name for name, value in vars(hyperparameters).items() if value]
