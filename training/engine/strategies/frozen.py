"""The strategy `frozen`: the pretrained backbone stays as it is, only a linear head is trained.

The head's regularisation is chosen on the validation part (by cross-validation within the training part where examples
are few), and every figure that is shown comes from the head fitted on the training part alone. The head that
is published is then fitted once more on both parts (`refit_on_all` in the metrics): with few examples, the
validation part is worth too much to be left unused.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..data import Split
from ..events import Progress, RunningMetrics, TrainingError
from ..examples import Examples
from ..fault_injection import crash_point
from ..loop.evaluation import evaluate
from ..networks.backbones import get_backbone
from ..specs.hyperparameters import Hyperparameters
from .base import Assignment, TrainedModel
from .features import Seen, Wanted, extract
from .linear_head import STRENGTHS, PathPoint, Selection, refit_head, select_head
from .out_of_fold import UNKNOWN, OutOfFold, are_few, deal, dense_out_of_fold
from .plot import draw_path

MOST_WITH_VIEWS = 1_000  # images: of more, seeing each three times takes longer than seconds
NOT_FINITE = "The network gave features that are no numbers. Report this with the data set."


def train(assignment: Assignment) -> TrainedModel:
    """Train a head. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    request, examples, progress = assignment.request, assignment.examples, assignment.progress
    backbone = get_backbone(assignment.architecture, assignment.cache_dir)
    progress.enter("features", "The pretrained network looks at every example", len(examples))
    extracted = extract(
        backbone,
        examples,
        Wanted(Path(request.output_dir), views=wants_views(assignment)),
        threads=assignment.threads,
        progress=progress,
        checkpoints=assignment.checkpoints,
        ranks=assignment.ranks,
    )
    if extracted.unreadable:
        examples = examples.without(frozenset(extracted.unreadable))
    seen = Seen.of(extracted)
    split = examples.split(request.data_split, request.seed)
    selection = fit_head(seen, examples, split, request.seed, progress)
    return publish(assignment, seen, examples, split, selection, len(extracted.unreadable))


def wants_views(assignment: Assignment) -> bool:
    """Return whether a head is to learn from other views of each image as well: where there are few."""
    examples = assignment.examples
    is_small = len(examples) <= MOST_WITH_VIEWS and are_few(len(examples), len(examples.classes))
    return assignment.architecture.reads_images and is_small


def publish(
    assignment: Assignment,
    seen: Seen,
    examples: Examples,
    split: Split,
    selection: Selection,
    unreadable: int,
) -> TrainedModel:
    """Measure a selection on the validation part, and fit the head that is published. Raises `TrainingStopped`."""
    validation, labels, check = list(split.validation), examples.labels, assignment.progress.check
    probabilities = selection.head.probabilities(seen.features[validation])
    names = [examples.names[index] for index in validation]
    metrics = evaluate(probabilities, labels[validation], examples.classes, names)
    found = held_out_in_turn(seen, examples, assignment.request.seed, check)
    strength = selection.strength if found is None else found.strength
    head = refit_head(*seen.with_labels(labels), selection.head, strength, check=check)
    head = head if found is None else head.scaled(found.factor)
    metrics |= {
        "train_examples": len(split.train),
        "validation_examples": len(validation),
        "regularisation": strength,
        "refit_on_all": True,
        "curve": [point.to_json() for point in selection.points],
        "chosen_point": selection.chosen,
        "unreadable": unreadable,
        "unused_settings": unused_settings(assignment.request.hyperparameters),
    }
    backbone = get_backbone(assignment.architecture, assignment.cache_dir)
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
        out_of_fold=found,
    )


def fit_head(seen: Seen, examples: Examples, split: Split, seed: int, progress: Progress) -> Selection:
    """Fit a head on the features of the training part.

    Its strength is chosen on the validation part or, with few examples, by cross-validation within the training
    part. Raises `TrainingError`, `TrainingStopped`.
    """
    if not all(np.isfinite(part).all() for part in (seen.features, seen.views) if part is not None):
        raise TrainingError(NOT_FINITE)
    progress.enter("fit", "The classifier learns the classes", len(STRENGTHS))

    def tell(number: int, point: PathPoint) -> None:
        shown = f"{100 * point.validation_accuracy:.1f} % validation accuracy"
        progress.tell(number, len(STRENGTHS), shown, RunningMetrics.from_json(point.to_json()))

    train, validation = list(split.train), list(split.validation)
    strength, factor = None, 1.0
    if are_few(len(examples), len(examples.classes)):
        others = frozenset(range(len(examples))) - set(train)
        found = held_out_in_turn(seen.only(train), examples.without(others), seed, progress.check)
        strength, factor = (UNKNOWN, 1.0) if found is None else (found.strength, found.factor)
    selection = select_head(
        seen.only(train).with_labels(examples.labels[train]),
        (seen.features[validation], examples.labels[validation]),
        len(examples.classes),
        strength=strength,
        on_point=tell,
        check=progress.check,
    )
    crash_point("fit.done")
    return replace(selection, head=selection.head.scaled(factor))


def held_out_in_turn(
    seen: Seen, examples: Examples, seed: int, check: Callable[[], None]
) -> OutOfFold | None:
    """Return what cross-validation says of few examples; None of many, and where none can be held out."""
    classes = len(examples.classes)
    if not are_few(len(examples), classes):
        return None
    folds = deal(examples.labels, examples.groups, seed)
    return dense_out_of_fold(seen, examples.labels, folds, classes, check=check)


def unused_settings(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of the given settings: a head with one best solution needs none of them."""
    return [name for name, value in vars(hyperparameters).items() if value]
