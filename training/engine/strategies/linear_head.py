"""A linear softmax head on fixed features, with the strength of its regularisation chosen on held-out data.

The strengths are tried from strong to weak, each fit starting from the one before (the homotopy of
Friedman, Hastie and Tibshirani, "Regularization Paths for Generalized Linear Models via Coordinate
Descent", 2010), so that the whole path costs little more than its last fit.

Features vary much along some directions and little along most. L-BFGS is therefore given coordinates in
which the loss curves about alike in all of them, and needs less than half as many steps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ..export.classifier import Head, roots_of
from ..mapped_arrays import pieces

# Of the squared weights' penalty, per example, on features scaled to length 1 in the mean.
STRENGTHS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7)
PATIENCE = 1  # strengths without a better validation loss, after which the path ends
BETTER = 1e-3  # relative improvement of the loss that counts
# What the loss has to fall by, from that of a head that knows no more than how common classes are, before a path ends.
LEARNT = 0.05
MAX_EVALUATIONS = 200
GRADIENT_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-5
HISTORY = 5  # steps that L-BFGS remembers; each costs two passes over all weights
NEGLIGIBLE = 1e-7  # of the largest variance: an axis with less is rounding
LEAST_CURVATURE = 1e-6
MOST_NUMBERS = (
    1 << 26
)  # of features that are copied while a head is fitted; more are read from where they lie
MOST_ROOTS = MOST_NUMBERS // 2  # of which roots are read: they help where examples are few
WIDTH = 16  # numbers that processors multiply at a time: other numbers of columns take a quarter longer
NEVER = -1e4  # the logit of a column that stands for no class

FEW_CLASSES = 4  # to a multiple of which fewer columns than `WIDTH` are padded

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class Matrix(Protocol):
    """Features as a fit needs them: examples × columns, with the mean square of each column."""

    @property
    def variances(self) -> Tensor:
        """Return the mean square of each column."""

    @property
    def device(self) -> torch.device:
        """Return where the numbers are."""

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with columns × classes."""

    def add_transposed_times(self, errors: Tensor, to: Tensor) -> None:
        """Add the product of the transpose with examples × classes to columns × classes."""

    def parts(self) -> Iterator[tuple[slice, "Matrix"]]:
        """Yield the rows that are worked on at a time, each time with a matrix of them."""


@dataclass(frozen=True)
class DenseMatrix:
    """Numbers that are mostly not 0."""

    values: Tensor
    variances: Tensor

    @property
    def device(self) -> torch.device:
        """Return where the numbers are."""
        return self.values.device

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with columns × classes."""
        return self.values @ weight

    def add_transposed_times(self, errors: Tensor, to: Tensor) -> None:
        """Add the product of the transpose with examples × classes to columns × classes."""
        to.addmm_(self.values.T, errors)

    def parts(self) -> Iterator[tuple[slice, Matrix]]:
        """Yield all at once."""
        yield slice(None), self


@dataclass(frozen=True)
class LargeMatrix:
    """Features that are too many to be copied: turned onto their axes anew, a part at a time, in every product."""

    features: Array
    mean: Tensor
    axes: Tensor  # divided by the features' length
    variances: Tensor
    read: Callable[[Array], Array] = lambda features: features

    @property
    def device(self) -> torch.device:
        """Return where the numbers are worked on."""
        return self.axes.device

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with columns × classes."""
        turned = self.axes @ weight
        shift = self.mean @ turned
        found = torch.empty(len(self.features), weight.shape[1], device=self.device)
        for rows, features in pieces(self.features):
            torch.matmul(self._read(features), turned, out=found[rows]).sub_(shift)
        return found

    def add_transposed_times(self, errors: Tensor, to: Tensor) -> None:
        """Add the product of the transpose with examples × classes to columns × classes."""
        sums = torch.zeros(self.features.shape[1], errors.shape[1], device=self.device)
        for rows, features in pieces(self.features):
            sums += self._read(features).T @ errors[rows]
        to.addmm_(self.axes.T, sums - self.mean[:, None] * errors.sum(0))

    def parts(self) -> Iterator[tuple[slice, Matrix]]:
        """Yield a part after the other."""
        for rows, features in pieces(self.features):
            yield rows, replace(self, features=features)

    def _read(self, features: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.read(features))).to(self.device)


@dataclass(frozen=True)
class PathPoint:
    """One strength of the path; accuracies 0…1, losses in nats."""

    strength: float
    train_accuracy: float
    validation_accuracy: float
    train_loss: float
    validation_loss: float

    def to_json(self) -> dict[str, float]:
        """Return the point as plain data."""
        return {name: float(f"{value:.6g}") for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Selection:
    """The path, the index of the chosen point, and the head that it was measured with."""

    points: tuple[PathPoint, ...]
    chosen: int
    head: Head

    @property
    def strength(self) -> float:
        """Return the chosen regularisation."""
        return self.points[self.chosen].strength


class PrincipalAxes:
    """Centres features, scales them to length 1 in the mean and turns them onto their principal axes.

    All that folds away in the finished head. There are never more axes than examples or dimensions. With `roots`
    these are the axes of the features' roots, and the head reads them; unless it is said, of features of which none is
    negative and which are not very many.
    """

    def __init__(self, features: Array, device: torch.device, *, roots: bool | None = None) -> None:
        count, dimension = features.shape
        wanted = features.size <= MOST_ROOTS and bool(features.min() >= 0)
        self.roots = wanted if roots is None else roots
        self.mean = (
            np.sum([self.read(part).sum(0, dtype=np.float64) for _, part in pieces(features)], axis=0) / count
        )
        squares = sum(float(np.square(self.read(part) - self.mean).sum()) for _, part in pieces(features))
        self.length = float(np.sqrt(squares / count)) if squares > 0 else 1.0
        self.device = device
        few = count < dimension
        if few:
            centred = self._centre(features)
            products = centred @ centred.T
        else:
            products = torch.zeros(dimension, dimension, dtype=torch.float64, device=device)
            for _, part in pieces(features):
                centred = self._centre(part)
                products += centred.T @ centred
        variances, vectors = torch.linalg.eigh(products.double() / count)
        kept = variances > NEGLIGIBLE * variances[-1]
        variances, vectors = variances[kept], vectors[:, kept]
        if few:
            vectors = centred.T.double() @ vectors / (count * variances).sqrt()
        self.variances: Tensor = variances.float()
        self.axes: Tensor = vectors.float()

    def apply(self, features: Array) -> Tensor:
        """Return features on the axes, N × axes."""
        turned = torch.empty(len(features), self.axes.shape[1], device=self.device)
        for rows, part in pieces(features):
            torch.matmul(self._centre(part), self.axes, out=turned[rows])
        return turned

    def matrix(self, features: Array) -> Matrix:
        """Return features on the axes, as a fit needs them."""
        if features.size <= MOST_NUMBERS:
            return DenseMatrix(self.apply(features), self.variances)
        mean = torch.from_numpy(self.mean.astype(np.float32)).to(self.device)
        return LargeMatrix(features, mean, self.axes / self.length, self.variances, self.read)

    def unfold(self, parameters: Tensor) -> Head:
        """Return the head on the given features, of parameters (axes + 1) × classes."""
        weight = (self.axes @ parameters[:-1]).double().cpu().numpy() / self.length
        bias = parameters[-1].double().cpu().numpy() - self.mean @ weight
        return Head(weight.astype(np.float32), bias.astype(np.float32), reads_roots=self.roots)

    def fold(self, head: Head) -> Tensor:
        """Return the parameters of a head; `unfold` the other way."""
        weight = head.weight.astype(np.float64)
        values = np.vstack([weight * self.length, head.bias + self.mean @ weight])
        parameters = torch.from_numpy(values.astype(np.float32)).to(self.device)
        return torch.cat([self.axes.T @ parameters[:-1], parameters[-1:]])

    def read(self, features: Array) -> Array:
        """Return the features as the head reads them."""
        return roots_of(features) if self.roots else features

    def _centre(self, features: Array) -> Tensor:
        centred = self.read(features) - self.mean.astype(np.float32)
        centred /= np.float32(self.length)
        return torch.from_numpy(centred).to(self.device)


def select_head(
    train: tuple[Array, Labels],
    validation: tuple[Array, Labels],
    classes: int,
    *,
    strengths: Sequence[float] = STRENGTHS,
    strength: float | None = None,
    on_point: Callable[[int, PathPoint], None],
    check: Callable[[], None],
) -> Selection:
    """Fit heads along the path on `train` and choose the one with the least loss on `validation`.

    With `strength` the choice has been made, and the path ends there.

    The loss decides, not the accuracy: it is smoother on few examples, and gives probabilities that
    mean something. `check` is called often and may raise to stop.
    """
    axes = PrincipalAxes(train[0], choose_device())
    path = follow_path(
        (axes.matrix(train[0]), train[1]),
        (axes.matrix(validation[0]), validation[1]),
        classes,
        strengths=strengths if strength is None else path_to(strength, strengths),
        to_the_end=strength is not None,
        on_point=on_point,
        check=check,
    )
    return Selection(path.points, path.chosen, axes.unfold(path.parameters))


def path_to(strength: float, strengths: Sequence[float] = STRENGTHS) -> list[float]:
    """Return the strengths of the path that ends with a certain one."""
    return [*(one for one in strengths if one > strength), strength]


@dataclass(frozen=True)
class Path:
    """The points of a path, the index of the chosen one, and its parameters, (columns + 1) × classes."""

    points: tuple[PathPoint, ...]
    chosen: int
    parameters: Tensor

    @property
    def strength(self) -> float:
        """Return the chosen regularisation."""
        return self.points[self.chosen].strength


def follow_path(
    train: tuple[Matrix, Labels],
    validation: tuple[Matrix, Labels],
    classes: int,
    *,
    strengths: Sequence[float],
    on_point: Callable[[int, PathPoint], None],
    check: Callable[[], None],
    tolerance: float = LOSS_TOLERANCE,
    to_the_end: bool = False,
) -> Path:
    """Fit along the path on `train`, until the loss on `validation` no longer falls; or choose its end.

    Where many classes are hard to tell apart, the strongest regularisation lets a head learn nothing, and the next ones
    hardly more: the path goes on until the loss on `train` has fallen.
    """
    features, device = train[0], train[0].device
    labels, held_out_labels = (torch.from_numpy(part[1]).to(device) for part in (train, validation))
    parameters = torch.zeros(len(features.variances) + 1, classes, device=device)
    points: list[PathPoint] = []
    chosen, best, unaware = 0, parameters, _entropy(train[1])
    for strength in strengths:
        parameters = minimise(parameters, (features, labels), strength, check, tolerance=tolerance)
        train_accuracy, train_loss = _measure(parameters, features, labels)
        accuracy, loss = _measure(parameters, validation[0], held_out_labels)
        points.append(PathPoint(strength, train_accuracy, accuracy, train_loss, loss))
        on_point(len(points), points[-1])
        if to_the_end or len(points) == 1 or loss < points[chosen].validation_loss * (1 - BETTER):
            chosen, best = len(points) - 1, parameters
        elif train_loss < (1 - LEARNT) * unaware and len(points) - 1 - chosen >= PATIENCE:
            break
    return Path(tuple(points), chosen, best)


def _entropy(labels: Labels) -> float:
    """Return the mean loss of the shares of the classes themselves, in nats."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(np.log(len(labels)) - (counts * np.log(counts)).sum() / len(labels))


def refit_head(
    features: Array, labels: Labels, start: Head, strength: float, *, check: Callable[[], None]
) -> Head:
    """Fit a head on all examples with a strength already chosen, starting from the head of a part of them.

    It reads what that one reads.
    """
    axes = PrincipalAxes(features, choose_device(), roots=start.reads_roots)
    data = axes.matrix(features), torch.from_numpy(labels).to(axes.device)
    return axes.unfold(minimise(axes.fold(start), data, strength, check))


def that_fit(rows: Sequence[int], dimension: int, seed: int) -> list[int]:
    """Return as many of the examples, in their order, as a head may be fitted on at a time; others are left out."""
    most = MOST_NUMBERS // dimension
    if len(rows) <= most:
        return list(rows)
    drawn = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return [rows[place] for place in np.sort(drawn)]


def choose_device() -> torch.device:
    """Return where heads are fitted: on a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def minimise(
    start: Tensor,
    data: tuple[Matrix, Tensor],
    strength: float,
    check: Callable[[], None],
    *,
    tolerance: float = LOSS_TOLERANCE,
) -> Tensor:
    """Minimise mean cross-entropy + strength/2 · |weight|² by L-BFGS; the bias is not penalised.

    `data` are features and labels. The loss curves along a column by about the mean of p · (1 - p) over
    all examples and classes times the column's mean square, plus the penalty's strength.
    """
    features, labels = data
    curvature = _spread(start, features, len(labels)).clamp(min=LEAST_CURVATURE)
    scale = torch.cat([curvature * features.variances + strength, curvature[None]]).rsqrt()[:, None]
    classes = start.shape[1]
    start = functional.pad(start, (0, -classes % (WIDTH if classes > WIDTH else FEW_CLASSES)))
    start[-1, classes:] = NEVER
    values = start / scale
    optimizer = torch.optim.LBFGS(
        [values],
        max_iter=MAX_EVALUATIONS,
        max_eval=MAX_EVALUATIONS,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=tolerance,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        check()
        parameters = values * scale
        weight = parameters[:-1]
        value, slope = strength / 2 * weight.square().sum(), torch.zeros_like(parameters)
        for rows, part in features.parts():
            errors = _logits(parameters, part).log_softmax(1)
            right = labels[rows, None]
            value -= errors.gather(1, right).sum() / len(labels)
            errors.exp_().scatter_add_(1, right, torch.full_like(right, -1, dtype=errors.dtype))
            errors /= len(labels)
            part.add_transposed_times(errors, slope[:-1])
            slope[-1] += errors.sum(0)
        slope[:-1].add_(weight, alpha=strength)
        values.grad = slope.mul_(scale)
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (values * scale)[:, :classes].contiguous()


def _spread(parameters: Tensor, features: Matrix, count: int) -> Tensor:
    """Return the mean of p · (1 - p) over so many examples and all classes."""
    total = torch.zeros((), dtype=torch.float64, device=parameters.device)
    for _, part in features.parts():
        chances = _logits(parameters, part).softmax(1)
        total += chances.sub_(chances.square()).sum()
    return (total / (count * parameters.shape[1])).float()


def _logits(parameters: Tensor, features: Matrix) -> Tensor:
    return features.times(parameters[:-1]).add_(parameters[-1])


def _measure(parameters: Tensor, features: Matrix, labels: Tensor) -> tuple[float, float]:
    """Return accuracy and mean loss."""
    logits = _logits(parameters, features)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    return accuracy, functional.cross_entropy(logits, labels).item()
