"""The strategy `frozen`: the pretrained backbone stays as it is, only a linear head is trained.

The head's regularisation is chosen on the validation part, and every figure that is shown comes from
the head fitted on the training part alone. The head that is published is then fitted once more with
that regularisation on both parts (`refit_on_all` in the metrics): with few examples, the validation
part is worth too much to be left unused.
"""

from functools import partial
from pathlib import Path

import numpy as np

from ..events import Progress, RunningMetrics, TrainingError
from ..examples import Examples
from ..fault_injection import crash_point
from ..loop.evaluation import evaluate
from ..networks.backbones import get_backbone
from ..specs.hyperparameters import Hyperparameters
from .base import Assignment, TrainedModel
from .features import Features, extract_features
from .linear_head import STRENGTHS, PathPoint, Selection, refit_head, select_head
from .plot import draw_path

NOT_FINITE = "The network gave features that are no numbers. Report this with the data set."


def train(assignment: Assignment) -> TrainedModel:
    """Train a head. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    request, examples, progress = assignment.request, assignment.examples, assignment.progress
    backbone = get_backbone(assignment.architecture, assignment.cache_dir)
    progress.enter("features", "The pretrained network looks at every example", len(examples))
    features, unreadable = extract_features(
        backbone,
        examples,
        threads=assignment.threads,
        progress=progress,
        checkpoints=assignment.checkpoints,
        ranks=assignment.ranks,
        folder=Path(request.output_dir),
    )
    if unreadable:
        features = np.delete(features, list(unreadable), axis=0)
        examples = examples.without(frozenset(unreadable))
    split = examples.split(request.data_split, request.seed)
    train, validation = list(split.train), list(split.validation)
    labels = examples.labels
    selection = fit_head(features, examples, (train, validation), progress)
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
    return TrainedModel(
        head=head,
        state=None,
        tokenizer=backbone.tokenizer(),
        classes=examples.classes,
        metrics=metrics,
        draw=partial(draw_path, selection.points, selection.chosen, metrics["majority_baseline"]),
        examples=examples,
        validation=split.validation,
        probabilities=probabilities,
    )


def fit_head(
    features: Features, examples: Examples, parts: tuple[list[int], list[int]], progress: Progress
) -> Selection:
    """Fit a head on the features of the training part, its strength chosen on the validation part.

    Raises `TrainingError`, `TrainingStopped`.
    """
    if not np.isfinite(features).all():
        raise TrainingError(NOT_FINITE)
    progress.enter("fit", "The classifier learns the classes", len(STRENGTHS))

    def tell(number: int, point: PathPoint) -> None:
        shown = f"{100 * point.validation_accuracy:.1f} % validation accuracy"
        progress.tell(number, len(STRENGTHS), shown, RunningMetrics.from_json(point.to_json()))

    train, validation = parts
    selection = select_head(
        (features[train], examples.labels[train]),
        (features[validation], examples.labels[validation]),
        len(examples.classes),
        on_point=tell,
        check=progress.check,
    )
    crash_point("fit.done")
    return selection


def unused_settings(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of the given settings: a head with one best solution needs none of them."""
    return [name for name, value in vars(hyperparameters).items() if value]
