"""The strategy `frozen`: the pretrained backbone stays as it is, only a linear head is trained.

The head's regularisation is chosen on the validation part, and every figure that is shown comes from the head fitted
on the training part alone, or as much of it as memory holds. Where examples are few, both come from cross-validation,
in which each example is held out once. The head that is published is then fitted once more on both parts
(`refit_on_all` in the metrics): with few examples, the validation part is worth too much to be left unused.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from models_registry.artifacts.model_metrics import ModelMetrics

from ..data import Split
from ..events import Progress, RunningMetrics, TrainingError
from ..examples import Examples
from ..export.classifier import Head
from ..fault_injection import crash_point
from ..loop.evaluation import evaluate
from ..mapped_arrays import blocks, pieces, taken
from ..networks.backbones import PreparedBackbone, get_backbone
from ..specs.hyperparameters import Hyperparameters
from .base import Assignment, TrainedModel
from .features import Extracted, Seen, Wanted, extract
from .linear_head import (
    STRENGTHS,
    Array,
    PathPoint,
    Selection,
    refit_head,
    select_head,
    that_fit,
)
from .long_texts import windows_worth_trying
from .naive_split import gain_of_split, gain_of_turns
from .out_of_fold import UNKNOWN, OutOfFold, are_few, deal, dense_out_of_fold
from .plot import draw_path

WORTH = (
    0.01  # by which reading whole texts has to be better than reading their beginnings, relative to its loss
)
MOST_WITH_VIEWS = 1_000  # images: of more, seeing each three times takes longer than seconds
NOT_FINITE = "The network gave features that are no numbers. Report this with the data set."


def train(assignment: Assignment) -> TrainedModel:
    """Train a head. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    request, examples, progress = assignment.request, assignment.examples, assignment.progress
    backbone = get_backbone(assignment.architecture, assignment.cache_dir)
    progress.enter("features", "The pretrained network looks at every example", len(examples))
    views = wants_views(assignment)
    extracted = extract(
        backbone,
        examples,
        Wanted(
            Path(request.output_dir),
            views=views,
            windows=wanted_windows(assignment, backbone),
            eight_bits=assignment.architecture.reads_images and not views,  # few photos take no time
        ),
        threads=assignment.threads,
        progress=progress,
        checkpoints=assignment.checkpoints,
        cache=assignment.features,
        ranks=assignment.ranks,
    )
    if extracted.unreadable:
        examples = examples.without(frozenset(extracted.unreadable))
    split = examples.split(request.data_split, request.seed)
    seen = choose_reading(extracted, examples, split, request.seed, progress)
    selection = fit_head(seen, examples, split, request.seed, progress)
    trained = publish(assignment, seen, examples, split, selection, len(extracted.unreadable))
    if extracted.in_eight_bits:
        trained.metrics["features_in_eight_bits"] = True
    return trained


def wants_views(assignment: Assignment) -> bool:
    """Return whether a head is to learn from other views of each image as well: where there are few."""
    examples = assignment.examples
    is_small = len(examples) <= MOST_WITH_VIEWS and are_few(len(examples), len(examples.classes))
    return assignment.architecture.reads_images and is_small


def wanted_windows(assignment: Assignment, backbone: PreparedBackbone) -> int:
    """Return in how many windows texts are to be looked at; 1 for their beginnings alone, and for images."""
    tokenizer = backbone.tokenizer()
    if tokenizer is None:
        return 1
    return windows_worth_trying(assignment.architecture, tokenizer, assignment.examples.names)


def choose_reading(
    extracted: Extracted, examples: Examples, split: Split, seed: int, progress: Progress
) -> Seen:
    """Return the features of texts as a whole where a head on them is clearly better than one on their beginnings.

    Else, and of all other examples, the features as they are. Raises `TrainingError`, `TrainingStopped`.
    """
    beginnings = Seen.of(extracted)
    if extracted.whole is None:
        return beginnings
    whole = Seen(extracted.whole, windows=extracted.windows)
    losses = [_loss(seen, examples, split, seed, progress.check) for seen in (beginnings, whole)]
    return whole if losses[1] < (1 - WORTH) * losses[0] else beginnings


def _loss(seen: Seen, examples: Examples, split: Split, seed: int, check: Callable[[], None]) -> float:
    """Return the loss of a head on what it has not learnt from."""
    if not np.isfinite(seen.features).all():
        raise TrainingError(NOT_FINITE)
    found = held_out_in_turn(seen, examples, seed, check)
    if found is not None:
        return float(
            -np.log(found.probabilities[np.arange(len(found.rows)), examples.labels[found.rows]]).mean()
        )
    train, validation = _that_fit(seen, split, seed)
    selection = select_head(
        (taken(seen.features, np.array(train, np.int64)), examples.labels[train]),
        (taken(seen.features, np.array(validation, np.int64)), examples.labels[validation]),
        len(examples.classes),
        on_point=lambda number, point: None,
        check=check,
    )
    return selection.points[selection.chosen].validation_loss


def publish(
    assignment: Assignment,
    seen: Seen,
    examples: Examples,
    split: Split,
    selection: Selection,
    unreadable: int,
) -> TrainedModel:
    """Measure a selection, and fit the head that is published. Raises `TrainingStopped`.

    It is measured on the validation part, or few examples on all that were held out in turn.
    """
    labels, check, seed = examples.labels, assignment.progress.check, assignment.request.seed
    found = held_out_in_turn(seen, examples, seed, check)
    gain: Callable[[], float | None]
    if found is None:
        validation = list(split.validation)
        probabilities = _probabilities(selection.head, seen.features, validation)
        gain = partial(gain_of_split, seen, examples, split, selection, seed, check)
    else:
        validation = found.rows.tolist()
        probabilities = found.probabilities
        gain = partial(gain_of_turns, seen, examples, found, seed, check)
    names, groups = [examples.names[index] for index in validation], examples.groups_of(validation)
    metrics = evaluate(probabilities, labels[validation], examples.classes, names, groups)
    strength = selection.strength if found is None else found.strength
    head = refit_head(*seen.with_labels(labels), selection.head, strength, check=check)
    head = head if found is None else head.scaled(found.factor)
    metrics.update(cast(ModelMetrics, examples.independence))
    metrics |= {
        "train_examples": len(split.train) if found is None else len(examples),
        "validation_examples": len(validation),
        "cross_validated": found is not None,
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
        validation=tuple(validation),
        probabilities=probabilities,
        out_of_fold=found,
        seen=seen,
        strength=strength,
        windows=seen.windows,
        naive_gain=gain,
    )


def _probabilities(head: Head, features: Array, rows: Sequence[int]) -> Array:
    """Return those of some examples, N × classes, in memory of a few."""
    chosen = np.array(rows, np.int64)
    return np.concatenate([head.probabilities(taken(features, chosen[some])) for some in blocks(len(chosen))])


def fit_head(seen: Seen, examples: Examples, split: Split, seed: int, progress: Progress) -> Selection:
    """Fit a head on the features of the training part.

    Its strength is chosen on the validation part or, with few examples, by cross-validation within the training
    part. Raises `TrainingError`, `TrainingStopped`.
    """
    for part in (seen.features, seen.views):
        if part is not None and not all(np.isfinite(some).all() for _, some in pieces(part)):
            raise TrainingError(NOT_FINITE)
    progress.enter("fit", "The classifier learns the classes", len(STRENGTHS))

    def tell(number: int, point: PathPoint) -> None:
        shown = f"{100 * point.validation_accuracy:.1f} % validation accuracy"
        progress.tell(number, len(STRENGTHS), shown, RunningMetrics.from_json(point.to_json()))

    train, validation = _that_fit(seen, split, seed)
    strength, factor = None, 1.0
    if cross_validates(examples):
        others = frozenset(range(len(examples))) - set(train)
        found = held_out_in_turn(seen.only(train), examples.without(others), seed, progress.check)
        strength, factor = (UNKNOWN, 1.0) if found is None else (found.strength, found.factor)
    selection = select_head(
        seen.only(train).with_labels(examples.labels[train]),
        (taken(seen.features, np.array(validation, np.int64)), examples.labels[validation]),
        len(examples.classes),
        strength=strength,
        on_point=tell,
        check=progress.check,
    )
    crash_point("fit.done")
    return replace(selection, head=selection.head.scaled(factor))


def _that_fit(seen: Seen, split: Split, seed: int) -> tuple[list[int], list[int]]:
    """Return the training and the validation part, or of very many examples as many as memory holds."""
    dimension = seen.features.shape[1]
    return that_fit(split.train, dimension, seed), that_fit(split.validation, dimension, seed)


def held_out_in_turn(
    seen: Seen, examples: Examples, seed: int, check: Callable[[], None]
) -> OutOfFold | None:
    """Return what cross-validation says of few examples; None of many, and where none can be held out."""
    if not cross_validates(examples):
        return None
    folds = deal(examples.labels, examples.groups, seed)
    return dense_out_of_fold(seen, examples.labels, folds, len(examples.classes), check=check)


def cross_validates(examples: Examples) -> bool:
    """Return whether there are too few examples, near copies counted once, for one validation part."""
    return are_few(len(examples), len(examples.classes), len(set(examples.groups)))


def unused_settings(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of the given settings: a head with one best solution needs none of them."""
    return [name for name, value in vars(hyperparameters).items() if value]
