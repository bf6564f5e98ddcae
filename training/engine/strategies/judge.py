"""What models that have not learnt from an example think of its label: a second look at the data, after the training.

Of the features that the training has at hand anyway, heads are fitted on all folds but one at a time, with the strength
that was chosen. Where there are no such features, the validation part alone is looked at.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from torch.nn import functional

from ..data.near_copies import bundle_photos, connect_groups
from ..label_issues import find_label_issues
from ..mapped_arrays import blocks, taken
from ..seen_examples import Directions, Judged, NearCopies
from .base import TrainedModel
from .features import Seen
from .linear_head import Array, Labels, PrincipalAxes, choose_device, minimise, that_fit
from .neighbours import describe_near_copies, directions_of, find_odd_ones, in_eight_bits
from .out_of_fold import TOLERANCE, Rows, calibrated, deal

MOST_EXAMPLES = 100_000  # of more, the validation part alone is looked at


def judge(trained: TrainedModel, seed: int, check: Callable[[], None]) -> Judged:
    """Return what is thought of the examples. `check` may raise to stop."""
    examples = trained.examples
    found = trained.out_of_fold
    if found is not None:
        rows, probabilities = found.rows, found.probabilities
    elif trained.seen is not None and len(examples) <= MOST_EXAMPLES:
        folds = deal(examples.labels, examples.groups, seed)
        labels, strength = examples.labels, trained.strength
        rows, probabilities = held_out_once(trained.seen, labels, folds, strength, check=check)
    else:
        rows, probabilities = np.array(trained.validation, np.int64), trained.probabilities
    issues = find_label_issues(probabilities, examples.labels[rows], rows.tolist())
    return Judged(rows, probabilities, issues, *look_around(trained, check))


def look_around(
    trained: TrainedModel, check: Callable[[], None]
) -> tuple[NearCopies, Array | None, Directions | None]:
    """Return near copies, how odd examples are and their directions; the latter two where there are features."""
    examples = trained.examples
    digests = [examples.manifest.digests[row] for row in examples.rows]
    # Groups that a person has named say nothing of likeness.
    groups: Sequence[Hashable] = digests if examples.has_named_groups else examples.groups
    if trained.seen is None or len(examples) > MOST_EXAMPLES:
        return describe_near_copies(groups, digests, None), None, None
    if trained.seen.sketches is not None:  # which know of what was added later, too
        alike = bundle_photos([sketch.tobytes() for sketch in trained.seen.sketches])
        groups = connect_groups(groups, alike.tolist())
    directions = directions_of(trained.seen.features)
    odd = find_odd_ones(directions, groups, check)
    return describe_near_copies(groups, digests, trained.seen.features), odd, in_eight_bits(directions)


def held_out_once(
    seen: Seen, labels: Labels, folds: Rows, strength: float, *, check: Callable[[], None]
) -> tuple[Rows, Array]:
    """Return the examples that were held out once, and their probabilities, at the best temperature for all."""
    classes = int(labels.max()) + 1
    device = choose_device()
    axes = PrincipalAxes(seen.features, device)
    scores = np.zeros((len(labels), classes), np.float32)
    for fold in np.unique(folds[folds >= 0]):
        held_out = folds == fold
        known = np.flatnonzero(~held_out)
        known = np.array(that_fit(known.tolist(), seen.features.shape[1], int(fold)), np.int64)
        data = axes.matrix(taken(seen.features, known)), torch.from_numpy(labels[known]).to(device)
        # From nothing: a fit that starts from another's end would know the labels that are held out.
        start = torch.zeros(len(axes.variances) + 1, classes, device=device)
        head = minimise(start, data, strength, check, tolerance=TOLERANCE)
        places = np.flatnonzero(held_out)
        for some in blocks(len(places)):
            said = axes.apply(taken(seen.features, places[some])) @ head[:-1] + head[-1]
            scores[places[some]] = said.cpu().numpy()
    rows = np.flatnonzero(folds >= 0)
    _, factor = calibrated(torch.from_numpy(scores[rows]), torch.from_numpy(labels[rows]))
    return rows, _softmax(scores[rows] * np.float32(factor))


def _softmax(logits: Array) -> Array:
    probabilities: Array = functional.softmax(torch.from_numpy(logits), 1).numpy()
    return probabilities
