"""Which examples lie near which by the features of a network: near copies, odd ones out, and what is similar to one.

Features are turned onto their principal axes, of which the first few tell things apart, and scaled to length 1; the
cosine of two is how alike their examples are among the others. An example is odd where it is far from those that are
nearest to it, far beyond what is usual in the data: more than three times the distance between the quartiles above the
upper one, which Tukey ("Exploratory Data Analysis", 1977) calls far out.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from ..mapped_arrays import pieces, taken
from ..seen_examples import SCALE, Directions, NearCopies

AXES = 64  # of a direction
NEAREST = 5  # others that an example's distance is the mean of
FAR_OUT = 3.0  # distances between the quartiles, above the upper one
FEWEST = 40  # examples, of fewer none is odd
BLOCK = 2_048  # examples that are compared with all others at a time, at the most
COMPARED = 1 << 24  # pairs of examples that are compared at a time, of which each takes nine bytes
LARGEST_GROUP = 1_000  # examples of a group of near copies that are compared
AT_LEAST = 0.9  # likeness of near copies of which nobody has features

Array = npt.NDArray[np.float32]


def directions_of(features: Array) -> Array:
    """Return features on their first principal axes, N × 64 at the most, each of length 1 (0 for the very middle)."""
    mean = torch.stack([_of_length_one(part).sum(0) for _, part in pieces(features)]).sum(0) / len(features)
    products = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for _, part in pieces(features):
        values = (_of_length_one(part) - mean).double()
        products += values.T @ values
    _, axes = torch.linalg.eigh(products)
    axes = axes[:, -AXES:].flip(1).float()
    turned = torch.cat([(_of_length_one(part) - mean) @ axes for _, part in pieces(features)])
    turned = turned / turned.norm(dim=1, keepdim=True).clamp(min=1e-12)
    found: Array = turned.numpy()
    return found


def _of_length_one(features: Array) -> torch.Tensor:
    values = torch.from_numpy(np.ascontiguousarray(features))
    scaled: torch.Tensor = values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return scaled


def in_eight_bits(directions: Array) -> Directions:
    """Return directions as whole numbers, of which the cosine differs by less than 0.01."""
    return np.round(directions * SCALE).astype(np.int8)


def find_odd_ones(
    directions: Array, groups: Sequence[Hashable], check: Callable[[], None] = lambda: None
) -> Array:
    """Return how far each example is from those nearest to it, 0…2, where that is far out; NaN for all others.

    What shares a group with an example does not count as near it. `check` may raise to stop.
    """
    if len(directions) < FEWEST:
        return np.full(len(directions), np.nan, np.float32)
    distances = distances_to_nearest(directions, groups, check)
    lower, upper = np.quantile(distances, [0.25, 0.75])
    found: Array = np.where(distances > upper + FAR_OUT * (upper - lower), distances, np.nan)
    return found.astype(np.float32)


def distances_to_nearest(directions: Array, groups: Sequence[Hashable], check: Callable[[], None]) -> Array:
    """Return the mean distance (1 − cosine) of each example to the nearest of other groups."""
    numbers: dict[Hashable, int] = {}
    group = torch.tensor([numbers.setdefault(one, len(numbers)) for one in groups])
    values, found = torch.from_numpy(directions), []
    at_once = max(1, min(BLOCK, COMPARED // len(values)))
    for start in range(0, len(values), at_once):
        check()
        block = slice(start, start + at_once)
        alike = values[block] @ values.T
        alike.masked_fill_(group[block, None] == group[None], -1.0)
        found.append(1 - alike.topk(min(NEAREST, len(values) - 1)).values.mean(1))
    distances: Array = torch.cat(found).numpy()
    return distances


def describe_near_copies(
    groups: Sequence[Hashable], digests: Sequence[str], features: Array | None
) -> NearCopies:
    """Return groups under short names, equal for their members, with their likeness.

    `groups` are equal for near copies of one another. Without features all but exact copies count as the least alike.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    names, likeness = [""] * len(groups), np.zeros(len(groups), np.float32)
    for rows in members.values():
        if len(rows) < 2:
            continue
        alike = _likeness(rows, digests, features)
        for row in rows:
            names[row], likeness[row] = digests[rows[0]][:16], alike
    return NearCopies(tuple(names), likeness)


def _likeness(rows: Sequence[int], digests: Sequence[str], features: Array | None) -> float:
    if len({digests[row] for row in rows}) < len(rows):
        return 1.0
    if features is None:
        return AT_LEAST
    some = taken(features, np.array(rows[:LARGEST_GROUP], np.int64))
    some = some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
    alike = some @ some.T
    np.fill_diagonal(alike, -1.0)
    return float(np.clip(alike.max(), 0.0, 1.0))
