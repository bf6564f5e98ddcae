"""What accuracy a split would have claimed that draws each example on its own, near copies on both sides.

Where examples are few, each is held out in turn once more, by folds that know nothing of groups. Else the head that was
measured is fitted once more, with part of each group in the validation part put into training, each example with the
probability that it has in a naive split; only those of such groups that are left change their answers by more
than chance. Either way a linear head on the pretrained features is measured with and without copies in
training, and the difference is added to the accuracy that is shown, whatever was published. It is an estimate.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..data import Split
from ..examples import Examples
from ..mapped_arrays import taken
from .features import Seen
from .linear_head import Selection, refit_head, that_fit
from .out_of_fold import OutOfFold, deal, dense_out_of_fold

WORTH_TELLING = (
    0.01  # share of the examples that are near copies, below which a naive split claims about the same
)


def has_groups(examples: Examples) -> bool:
    """Return whether so many examples share a group that it makes a difference."""
    return len(examples) - len(set(examples.groups)) >= WORTH_TELLING * len(examples)


def gain_of_turns(
    seen: Seen, examples: Examples, found: OutOfFold, seed: int, check: Callable[[], None]
) -> float | None:
    """Return by how much a naive cross-validation claims more, 0…1; None where no examples share a group."""
    if not has_groups(examples):
        return None
    folds = deal(examples.labels, range(len(examples)), seed)
    strengths, classes = (found.strength,), len(examples.classes)
    naive = dense_out_of_fold(seen, examples.labels, folds, classes, strengths=strengths, check=check)
    return None if naive is None else _right(naive, examples) - _right(found, examples)


def gain_of_split(
    seen: Seen, examples: Examples, split: Split, selection: Selection, seed: int, check: Callable[[], None]
) -> float | None:
    """Return by how much a naive split claims more, 0…1; None where too few examples share a group."""
    if not has_groups(examples):
        return None
    train, validation = np.array(split.train, np.int64), np.array(split.validation, np.int64)
    counts = Counter(examples.groups_of(split.validation))
    shared = np.array([counts[group] > 1 for group in examples.groups_of(split.validation)])
    drawn = np.random.default_rng(seed).random(len(validation)) < len(train) / len(examples)
    moved, left = validation[shared & drawn], validation[shared & ~drawn]
    if not len(moved) or not len(left):
        return None
    dimension = seen.features.shape[1]
    rows = np.array(that_fit(np.concatenate([train, moved]).tolist(), dimension, seed), np.int64)
    labels = examples.labels
    features = seen.only(rows).with_labels(labels[rows])
    head = refit_head(*features, selection.head, selection.strength, check=check)

    def right(probabilities: npt.NDArray[np.float32]) -> float:
        return float((probabilities.argmax(1) == labels[left]).mean())

    known = taken(seen.features, left)
    return float(shared.mean()) * (
        right(head.probabilities(known)) - right(selection.head.probabilities(known))
    )


def claimed(accuracy: float, gain: float | None) -> float | None:
    """Return the accuracy, 0…1, that a naive split would have claimed; None where it claims the same."""
    return None if gain is None else min(1.0, max(0.0, accuracy + gain))


def _right(found: OutOfFold, examples: Examples) -> float:
    return float((found.logits.argmax(1) == examples.labels[found.rows]).mean())
