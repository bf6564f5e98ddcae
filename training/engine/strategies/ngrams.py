"""A second view of texts beside a network's: a linear head on their n-grams.

Encoders know the languages that they were pretrained on; n-grams know nothing and learn in every
language, and each finds what the other misses. So the network's scores and those of the n-grams are
weighed against each other on the validation part, and whichever of network, n-grams or both has the least
loss there is published. Both are linear in the end, so that the weights disappear in the heads.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional

from models_registry.artifacts.memory import return_freed_memory, set_malloc
from models_registry.artifacts.model_metrics import ViewMetrics
from models_registry.artifacts.ngrams import NgramVocabulary, Numbers
from models_registry.artifacts.views import NETWORK, NETWORK_AND_NGRAMS, NGRAMS

from ..events import Progress
from ..examples import Examples
from ..export.classifier import Head, NgramHead
from ..loop.evaluation import evaluate
from .base import Assignment, TrainedModel
from .linear_head import Array, Labels, Matrix, PathPoint, follow_path, minimise
from .out_of_fold import OutOfFold, deal, out_of_fold

STRENGTHS = (3e-5, 1e-5, 3e-6, 1e-6)
TOO_FEW = 2.5  # examples of a class in the mean: of so few, n-grams are not looked at
FEW_STRENGTHS = (
    1e-4,
    1e-5,
    1e-6,
)  # with few examples: the weight beside the network's view makes up for the rest
TOLERANCE = 1e-4  # of the loss: ten times as fine a fit takes three times as long, and is no more accurate
MOST_NGRAMS = 1 << 17
MOST_WEIGHTS = 8_000_000  # of n-grams × classes: 32 MB of the model's file
# To learn from, and to choose by: the vectors of more would not fit into memory. A text has up to three n-grams for
# each of its characters.
MOST_EXAMPLES, MOST_JUDGED, MOST_CHARACTERS = 100_000, 30_000, 12_000_000
# Of so many examples a fit takes and frees blocks of which glibc, which aligns them, makes ever more of its heap: up to
# three times what is used. Each is given back at once then, which takes a tenth longer.
MANY, LARGE = 30_000, 4 << 20  # bytes
PART = 1 << 15  # texts whose errors are worked out together
WEIGHTS_AT_ONCE = 1 << 22  # that are squared together
AT_ONCE = 10_000  # texts whose probabilities are worked out together
WORTH = 0.01  # by which both views have to be better than one, relative to its loss
KEPT_IN_PLACE = 1e-3  # pulls weights to 1, so that there is one best pair on few examples


class SparseMatrix:
    """The n-grams of texts as compressed rows of a sparse matrix, numbered by 32 bits; see `head.Matrix`.

    It is turned by SciPy, as torch takes three times the matrix for it, and only when that is needed.
    """

    def __init__(self, bounds: Numbers, ids: Numbers, weights: Array, columns: int) -> None:
        self._bounds, self._ids, self._weights = bounds, ids, weights
        self._shape = (len(bounds) - 1, columns)
        self._matrix = _as_tensor(bounds, ids, weights, self._shape)

    @classmethod
    def of(cls, vocabulary: NgramVocabulary, texts: Sequence[str]) -> Self:
        """Return that of some texts, a column for each n-gram of the vocabulary."""
        sizes, ids, weights = zip(*vocabulary.encode_rows(texts), strict=True)
        bounds = np.concatenate([[0], *sizes]).cumsum(dtype=np.int32)
        return cls(bounds, np.concatenate(ids), np.concatenate(weights), len(vocabulary))

    def part(self, rows: range | npt.NDArray[np.int64]) -> Self:
        """Return some of the rows; those of a range take no memory of their own."""
        columns = self._shape[1]
        if not isinstance(rows, range):
            some = self._as_scipy()[rows]
            return type(self)(some.indptr, some.indices, some.data, columns)
        bounds = self._bounds[rows.start : rows.stop + 1]
        within = slice(bounds[0], bounds[-1])
        return type(self)(bounds - bounds[0], self._ids[within], self._weights[within], columns)

    def _as_scipy(self) -> csr_array:
        return csr_array((self._weights, self._ids, self._bounds), self._shape)

    @cached_property
    def _transposed(self) -> Tensor:
        turned = self._as_scipy().tocsc()
        return _as_tensor(turned.indptr, turned.indices, turned.data, turned.shape[::-1])

    @cached_property
    def variances(self) -> Tensor:
        """Return the mean square of each column."""
        count, columns = self._shape
        squares = np.zeros(columns)
        for start in range(0, len(self._ids), WEIGHTS_AT_ONCE):
            some = slice(start, start + WEIGHTS_AT_ONCE)
            squares += np.bincount(self._ids[some], np.square(self._weights[some]), columns)
        return torch.from_numpy((squares / max(1, count)).astype(np.float32))

    @property
    def device(self) -> torch.device:
        """Return where it lies."""
        return self._matrix.device

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with columns × classes."""
        return self._matrix @ weight

    def add_transposed_times(self, errors: Tensor, to: Tensor) -> None:
        """Add the product of the transpose with examples × classes to columns × classes."""
        to.addmm_(self._transposed, errors)

    def parts(self) -> Iterator[tuple[slice, Matrix]]:
        """Yield a part after the other, each the same every time: it knows its transpose."""
        yield from self._parts

    @cached_property
    def _parts(self) -> list[tuple[slice, Matrix]]:
        count = self._shape[0]
        if count <= PART:
            return [(slice(None), self)]
        some = [range(start, min(start + PART, count)) for start in range(0, count, PART)]
        return [(slice(rows.start, rows.stop), self.part(rows)) for rows in some]


def _as_tensor(bounds: Numbers, numbers: Numbers, values: Array, shape: tuple[int, int]) -> Tensor:
    """Return a sparse matrix of compressed rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # such tensors are called a beta feature
        places = torch.from_numpy(bounds), torch.from_numpy(numbers)
        return torch.sparse_csr_tensor(*places, torch.from_numpy(values), shape)


@dataclass(frozen=True)
class View:
    """One way to see the texts: its name, and its mean loss and accuracy (0…1) on the validation part."""

    name: str
    loss: float
    accuracy: float

    def to_json(self) -> ViewMetrics:
        """Return the view as plain data."""
        return {"name": self.name, "loss": round(self.loss, 4), "accuracy": round(self.accuracy, 4)}


def join_ngrams(assignment: Assignment, trained: TrainedModel) -> TrainedModel:
    """Return the model with the views that are best on the validation part. Raises `TrainingStopped`.

    Of few examples they are chosen by cross-validation where the network's features are those of the pretrained one,
    and of two of a class not at all: while one is held out, next to nothing is known of its words.
    """
    progress, examples = assignment.progress, trained.examples
    if len(examples) <= TOO_FEW * len(trained.classes):
        return trained
    validation = np.array(trained.validation, np.int64)
    everyone = np.arange(len(examples))
    progress.enter("fit", "Words and parts of words are weighed", len(STRENGTHS))
    # Which n-grams there are is learnt without looking at labels, so the validation part may be among them.
    judged = np.arange(len(validation))  # places in the validation part
    if trained.out_of_fold is None:
        train, seed = np.setdiff1d(everyone, validation), assignment.request.seed
        learn_from = _some(train, examples.names, MOST_EXAMPLES, seed)
        judged = np.searchsorted(validation, _some(validation, examples.names, MOST_JUDGED, seed))
        everything = np.concatenate([learn_from, validation[judged]])
    else:
        learn_from = everything = everyone
    if len(everything) >= MANY:
        set_malloc(map_from=LARGE)  # for good: of a training only small things come after this
        return_freed_memory()
    texts = [examples.names[index] for index in everything]
    most = min(MOST_NGRAMS, MOST_WEIGHTS // len(trained.classes))
    vocabulary = NgramVocabulary.learn(texts, most=most)
    if not len(vocabulary):
        return trained
    progress.check()
    ngrams = SparseMatrix.of(vocabulary, texts)
    labelled = _Labelled(vocabulary, ngrams, examples.labels[everything], len(learn_from))
    fitted = _fit(assignment, trained, labelled, judged)
    weighed = _weigh(fitted, needs_network=assignment.strategy.keeps_network and trained.state is not None)
    metrics = trained.metrics | {"views": [view.to_json() for view in weighed.views], "view": weighed.chosen}
    if weighed.chosen == NETWORK:
        return replace(trained, metrics=metrics)
    probabilities = _joined(trained, labelled, fitted, weighed.weights, judged, progress)
    first, second = weighed.weights
    names = [examples.names[index] for index in validation]
    groups = examples.groups_of(trained.validation)
    figures = evaluate(probabilities, examples.labels[validation], trained.classes, names, groups)
    metrics |= figures
    metrics["refit_on_all"] = True  # if not the network, then these
    found = _refit(labelled, fitted, progress)
    found = replace(found, head=found.head.scaled(second))
    if weighed.chosen == NGRAMS:
        trained = replace(trained, head=None, state=None, tokenizer=None, windows=1)
    else:
        assert trained.head is not None
        trained = replace(trained, head=trained.head.scaled(first))
    return replace(trained, ngrams=found, metrics=metrics, probabilities=probabilities)


@dataclass(frozen=True)
class _Labelled:
    """Texts as n-grams with their classes: the training part, `train` of them, and then the validation part."""

    vocabulary: NgramVocabulary
    ngrams: SparseMatrix
    labels: Labels
    train: int


@dataclass(frozen=True)
class _Fitted:
    """What both views say of the model's validation part: log-probabilities and the classes that are right.

    `start` are parameters of a head on n-grams to go on from, `strength` is that of its regularisation.
    """

    network: Array
    ngrams: Array
    labels: Labels
    start: Tensor
    strength: float


def _joined(
    trained: TrainedModel,
    labelled: _Labelled,
    fitted: _Fitted,
    weights: Sequence[float],
    judged: npt.NDArray[np.int64],
    progress: Progress,
) -> Array:
    """Return the probabilities of the validation part by both views, weighed; `judged` are those that are known."""
    first, second = weights
    if len(judged) == len(trained.validation):
        known: Array = torch.from_numpy(first * fitted.network + second * fitted.ngrams).softmax(1).numpy()
        return known
    found = np.empty_like(trained.probabilities)
    for start in range(0, len(found), AT_ONCE):
        progress.check()
        rows = trained.validation[start : start + AT_ONCE]
        texts = [trained.examples.names[row] for row in rows]
        ngrams = _said(SparseMatrix.of(labelled.vocabulary, texts), fitted.start)
        network = _logarithms(trained.probabilities[start : start + AT_ONCE])
        found[start : start + AT_ONCE] = (
            torch.from_numpy(first * network + second * ngrams).softmax(1).numpy()
        )
    return found


def _logarithms(probabilities: Array) -> Array:
    return np.log(np.clip(probabilities, 1e-30, None))


def _said(texts: SparseMatrix, parameters: Tensor) -> Array:
    """Return log-probabilities of texts."""
    return _log_softmax((texts.times(parameters[:-1]) + parameters[-1]).numpy())


def _fit(
    assignment: Assignment, trained: TrainedModel, labelled: _Labelled, judged: npt.NDArray[np.int64]
) -> _Fitted:
    """Fit a head on the n-grams of the training part, or several where each example is held out in turn."""
    progress, split, classes = assignment.progress, labelled.train, len(trained.classes)
    if trained.out_of_fold is not None:
        return _fit_in_turn(assignment, trained.out_of_fold, labelled, trained.examples)
    unseen, truth = labelled.ngrams.part(range(split, len(labelled.labels))), labelled.labels[split:]
    path = follow_path(
        (labelled.ngrams.part(range(split)), labelled.labels[:split]),
        (unseen, truth),
        classes,
        strengths=STRENGTHS,
        on_point=lambda number, point: _tell(progress, number, point),
        check=progress.check,
        tolerance=TOLERANCE,
    )
    network, ngrams = _logarithms(trained.probabilities[judged]), _said(unseen, path.parameters)
    return _Fitted(network, ngrams, truth, path.parameters, path.strength)


def _fit_in_turn(
    assignment: Assignment, network: OutOfFold, labelled: _Labelled, examples: Examples
) -> _Fitted:
    """Fit heads on all few examples but a fold; folds are those in which the network's view was held out."""
    found = out_of_fold(
        lambda rows: (labelled.ngrams.part(rows), examples.labels[rows]),
        labelled.ngrams.part,
        examples.labels,
        deal(examples.labels, examples.groups, assignment.request.seed),
        len(examples.classes),
        strengths=FEW_STRENGTHS,
        patience=1,
        check=assignment.progress.check,
    )
    assert found is not None
    assert (found.rows == network.rows).all()
    start = torch.zeros(len(labelled.vocabulary) + 1, len(examples.classes))
    said = _log_softmax(network.logits), _log_softmax(found.logits / np.float32(found.factor))
    return _Fitted(*said, examples.labels[found.rows], start, found.strength)


@dataclass(frozen=True)
class _Weighed:
    """The views, which is chosen, and the weights of the network's and the n-grams' log-probabilities."""

    views: Sequence[View]
    chosen: str
    weights: Sequence[float]


def _weigh(fitted: _Fitted, *, needs_network: bool) -> _Weighed:
    """Weigh both views against each other on what was held out."""
    network, ngrams, labels = fitted.network, fitted.ngrams, fitted.labels
    candidates = {
        NETWORK: [*balance([network], labels), 0.0],
        NGRAMS: [0.0, *balance([ngrams], labels)],
        NETWORK_AND_NGRAMS: balance([network, ngrams], labels),
    }
    scores = {name: first * network + second * ngrams for name, (first, second) in candidates.items()}
    views = [_view(name, values, labels) for name, values in scores.items()]
    chosen = choose_view(views, needs_network=needs_network).name
    return _Weighed(views, chosen, candidates[chosen])


def _log_softmax(logits: Array) -> Array:
    scores: Array = torch.from_numpy(logits).log_softmax(1).numpy()
    return scores


def balance(views: Sequence[Array], labels: Labels) -> list[float]:
    """Return the weights, all positive, with which the sum of views' log-probabilities has the least loss.

    Of one view alone that is its inverse temperature (Guo, Pleiss, Sun and Weinberger, "On Calibration of
    Modern Neural Networks", 2017).
    """
    targets = torch.from_numpy(labels)
    scores = torch.from_numpy(np.stack(views))
    logarithms = torch.zeros(len(views), requires_grad=True)
    optimizer = torch.optim.LBFGS([logarithms], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        joined = (scores * logarithms.exp()[:, None, None]).sum(0)
        value = functional.cross_entropy(joined, targets) + KEPT_IN_PLACE * logarithms.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    weights: list[float] = logarithms.detach().exp().tolist()
    return weights


def choose_view(views: Sequence[View], *, needs_network: bool) -> View:
    """Return the view to publish: both only where that is clearly better than the better one alone.

    A network that was trained because somebody asked for it is never left out.
    """
    network, ngrams, both = views
    single = network if needs_network or network.loss <= ngrams.loss else ngrams
    return both if both.loss < (1 - WORTH) * single.loss else single


def _view(name: str, scores: npt.NDArray[np.generic], labels: Labels) -> View:
    targets, values = torch.from_numpy(labels), torch.from_numpy(scores)
    accuracy = (values.argmax(1) == targets).double().mean().item()
    return View(name, functional.cross_entropy(values, targets).item(), accuracy)


def _some(rows: npt.NDArray[np.int64], texts: Sequence[str], most: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows, or some of them, in their order: as many as memory holds the n-grams of."""
    characters = np.array([len(texts[row]) for row in rows])
    if len(rows) <= most and characters.sum() <= MOST_CHARACTERS:
        return rows
    drawn = np.random.default_rng(seed).permutation(len(rows))[:most]
    within = max(1, int(np.searchsorted(characters[drawn].cumsum(), MOST_CHARACTERS, "right")))
    return rows[np.sort(drawn[:within])]


def _tell(progress: Progress, number: int, point: PathPoint) -> None:
    shown = f"{100 * point.validation_accuracy:.1f} % validation accuracy"
    progress.tell(number, len(STRENGTHS), shown)


def _refit(labelled: _Labelled, fitted: _Fitted, progress: Progress) -> NgramHead:
    """Fit the head once more on both parts, with the strength that was chosen."""
    data = labelled.ngrams, torch.from_numpy(labelled.labels)
    parameters = minimise(fitted.start, data, fitted.strength, progress.check, tolerance=TOLERANCE).numpy()
    head = Head(np.ascontiguousarray(parameters[:-1]), parameters[-1].copy())
    return NgramHead(labelled.vocabulary, head)
