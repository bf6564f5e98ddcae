"""The strength of a linear head's regularisation where examples are few: chosen by cross-validation.

A validation part of one or two examples a class says little about a strength, and has to be left out while
it is measured. So each example is held out once, by folds, and the strength with the least loss out of fold is
taken. The loss is measured at the best temperature: a strong regularisation shrinks the scores of few examples, which
says nothing about their order, and in the finished head it is the temperature that is learnt last.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from .features import Seen
from .linear_head import STRENGTHS, Array, Labels, Matrix, PrincipalAxes, choose_device, minimise

FEW_PER_CLASS, FEW = 30, 3_000  # examples, up to which one validation part says too little
MOST_FOLDS = 4
PATIENCE = 2  # strengths without a better loss, after which no weaker ones are tried
TOLERANCE = 1e-4  # of the loss: which strength is best does not need it finer
TEMPERATURES = tuple(np.geomspace(0.3, 100, 32).tolist())  # inverse ones: what the scores are multiplied with
# With one example of each class there is nothing to hold out. The best for a test where that was known.
UNKNOWN = 1e-3

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OutOfFold:
    """What cross-validation found: the strength for all examples, and what the heads said of those held out.

    `rows` are the examples that were held out once, `logits` what was said of them, as many rows × classes, multiplied
    with `factor`, the best inverse temperature.
    """

    strength: float
    factor: float
    rows: Rows
    logits: Array

    @property
    def probabilities(self) -> Array:
        """Return the probabilities of the examples that were held out, as many rows × classes."""
        found: Array = torch.from_numpy(self.logits).softmax(1).numpy()
        return found


def are_few(count: int, classes: int, groups: int | None = None) -> bool:
    """Return whether so many examples are too few for one validation part to choose by.

    Of `groups` of near copies, each counts once: sixty photos of three things are few.
    """
    different = count if groups is None else groups
    return count <= FEW and different <= FEW_PER_CLASS * classes


def deal(labels: Labels, groups: Sequence[Hashable], seed: int) -> Rows:
    """Return the fold of each example, from 0; -1 for those of a class of one group, which are never held out.

    Examples of one group (copies, near copies) are in one fold, across classes, too. There are as many folds as the
    largest class has groups, four at the most.
    """
    generator = np.random.default_rng(seed)
    folds = np.full(len(labels), -1, np.int64)
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    bundles = list(members.values())
    classes_of = [set(labels[bundle].tolist()) for bundle in bundles]
    of_class: dict[int, list[int]] = {}
    for place, found in enumerate(classes_of):
        for label in found:
            of_class.setdefault(label, []).append(place)
    start, dealt = 0, set[int]()
    # Bundles of several classes are dealt with the first of them, and those of a class of one group stay undealt.
    kept = {place for places in of_class.values() if len(places) < 2 for place in places}
    for label in sorted(of_class):
        own = [place for place in of_class[label] if place not in kept | dealt]
        most = min(MOST_FOLDS, len(of_class[label]))
        taken = [int(folds[bundles[place][0]]) for place in of_class[label] if place in dealt]
        order = sorted(range(most), key=lambda fold: (taken.count(fold), (fold - start) % most))
        for place, chosen in enumerate(generator.permutation(len(own))):
            folds[bundles[own[chosen]]] = order[place % most]
        dealt.update(own)
        start += len(own)
    return folds


def out_of_fold(
    learn: Callable[[Rows], tuple[Matrix, Labels]],
    judge: Callable[[Rows], Matrix],
    labels: Labels,
    folds: Rows,
    classes: int,
    *,
    strengths: Sequence[float] = STRENGTHS,
    patience: int = PATIENCE,
    check: Callable[[], None],
) -> OutOfFold | None:
    """Fit along the path on all folds but one at a time, until the loss on those held out no longer falls.

    `learn` returns what is to be learnt of some examples, `judge` what they are judged by. None when nothing
    can be held out. `check` may raise to stop.
    """
    held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds[folds >= 0])]
    if not held_out:
        return None
    rest = [np.setdiff1d(np.arange(len(labels)), rows) for rows in held_out]
    known, unseen = [learn(rows) for rows in rest], [judge(rows) for rows in held_out]
    device = unseen[0].device
    parts = [(data, torch.from_numpy(truth).to(device)) for data, truth in known]
    heads = [torch.zeros(len(data.variances) + 1, classes, device=device) for data, _ in parts]
    rows = np.concatenate(held_out)
    truth = torch.from_numpy(labels[rows]).to(device)
    best, since = np.inf, 0
    # The penalty is per example, and what is known of the weights does not change with their number.
    share = float(np.mean([len(part) for part in rest])) / len(labels)
    found: OutOfFold | None = None
    for strength in strengths:
        for number, data in enumerate(parts):
            heads[number] = minimise(heads[number], data, strength, check, tolerance=TOLERANCE)
        logits = torch.cat(
            [data.times(head[:-1]) + head[-1] for data, head in zip(unseen, heads, strict=True)]
        )
        loss, factor = calibrated(logits, truth)
        since += 1
        if loss < best:
            best, since = loss, 0
            found = OutOfFold(strength * share, factor, rows, (logits * factor).cpu().numpy())
        elif since >= patience:
            break
    return found


def calibrated(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the least mean cross-entropy at any temperature, and the factor of the logits that it has."""
    losses = [functional.cross_entropy(logits * factor, labels).item() for factor in TEMPERATURES]
    place = int(np.argmin(losses))
    return losses[place], TEMPERATURES[place]


def dense_out_of_fold(
    seen: Seen,
    labels: Labels,
    folds: Rows,
    classes: int,
    *,
    strengths: Sequence[float] = STRENGTHS,
    check: Callable[[], None],
) -> OutOfFold | None:
    """Do so with a network's features; other views of those held out are neither learnt from nor judged by."""
    axes = PrincipalAxes(seen.with_labels(labels)[0], choose_device())

    def learn(rows: Rows) -> tuple[Matrix, Labels]:
        features, truth = seen.only(rows).with_labels(labels[rows])
        return axes.matrix(features), truth

    return out_of_fold(
        learn,
        lambda rows: axes.matrix(seen.features[rows]),
        labels,
        folds,
        classes,
        strengths=strengths,
        check=check,
    )
