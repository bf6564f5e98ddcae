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


def are_few(count: int, classes: int) -> bool:
    """Return whether so many examples are too few for one validation part to choose by."""
    return count <= min(FEW, FEW_PER_CLASS * classes)


def deal(labels: Labels, groups: Sequence[Hashable], seed: int) -> Rows:
    """Return the fold of each example, from 0; -1 for those of a class of one group, which are never held out.

    Examples of one group (exact copies) are in one fold. There are as many folds as the largest class has
    groups, four at the most.
    """
    generator = np.random.default_rng(seed)
    folds = np.full(len(labels), -1, np.int64)
    start = 0
    for label in np.unique(labels):
        members: dict[Hashable, list[int]] = {}
        for index in np.flatnonzero(labels == label).tolist():
            members.setdefault(groups[index], []).append(index)
        if len(members) < 2:
            continue
        bundles = list(members.values())
        for place, chosen in enumerate(generator.permutation(len(bundles))):
            folds[bundles[chosen]] = (start + place) % min(MOST_FOLDS, len(bundles))
        start += len(bundles)
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
    check: Callable[[], None],
) -> OutOfFold | None:
    """Do so with a network's features; other views of those held out are neither learnt from nor judged by."""
    axes = PrincipalAxes(seen.with_labels(labels)[0], choose_device())

    def learn(rows: Rows) -> tuple[Matrix, Labels]:
        features, truth = seen.only(rows).with_labels(labels[rows])
        return axes.matrix(features), truth

    return out_of_fold(
        learn, lambda rows: axes.matrix(seen.features[rows]), labels, folds, classes, check=check
    )
