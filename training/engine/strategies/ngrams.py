"""A second view of texts beside a network's: a linear head on their n-grams.

Encoders know the languages that they were pretrained on; n-grams know nothing and learn in every
language, and each finds what the other misses. So the network's scores and those of the n-grams are
weighed against each other on the validation part, and whichever of network, n-grams or both has the least
loss there is published. Both are linear in the end, so that the weights disappear in the heads.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models_registry.artifacts.model_metrics import ViewMetrics
from models_registry.artifacts.ngrams import NgramVocabulary, WeightedNgrams
from models_registry.artifacts.views import NETWORK, NETWORK_AND_NGRAMS, NGRAMS

from ..events import Progress
from ..export.classifier import Head, NgramHead
from ..loop.evaluation import evaluate
from .base import Assignment, TrainedModel
from .linear_head import Array, Labels, Path, PathPoint, follow_path, minimise

STRENGTHS = (3e-5, 1e-5, 3e-6, 1e-6)
TOLERANCE = 1e-4  # of the loss: ten times as fine a fit takes three times as long, and is no more accurate
MOST_NGRAMS = 1 << 17
MOST_WEIGHTS = 8_000_000  # of n-grams × classes: 32 MB of the model's file
MOST_EXAMPLES = 100_000  # to learn from: the vectors of more would not fit into memory
WORTH = 0.01  # by which both views have to be better than one, relative to its loss
KEPT_IN_PLACE = 1e-3  # pulls weights to 1, so that there is one best pair on few examples


class SparseMatrix:
    """The n-grams of texts as rows of a sparse matrix; see `head.Matrix`."""

    def __init__(self, rows: Sequence[WeightedNgrams], columns: int) -> None:
        bounds = torch.from_numpy(np.cumsum([0, *(len(row.ids) for row in rows)]))
        ids = torch.from_numpy(np.concatenate([row.ids for row in rows]))
        weights = torch.from_numpy(np.concatenate([row.weights for row in rows]))
        shape = (len(rows), columns)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # such tensors are called a beta feature
            self._matrix = torch.sparse_csr_tensor(bounds, ids, weights, shape)
            turned = self._matrix.to_sparse_csc()
            places = turned.ccol_indices(), turned.row_indices()
            self._transposed = torch.sparse_csr_tensor(*places, turned.values(), shape[::-1])
        self.variances = torch.bincount(ids, weights.square(), columns) / max(1, len(rows))
        self.device = weights.device

    def times(self, weight: Tensor) -> Tensor:
        """Return the product with columns × classes."""
        return self._matrix @ weight

    def transposed_times(self, errors: Tensor) -> Tensor:
        """Return the product of the transpose with examples × classes."""
        return self._transposed @ errors


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
    """Return the model with the views that are best on the validation part. Raises `TrainingStopped`."""
    progress, examples = assignment.progress, trained.examples
    validation = np.array(trained.validation, np.int64)
    train = np.setdiff1d(np.arange(len(examples)), validation)
    progress.enter("fit", "Words and parts of words are weighed", len(STRENGTHS))
    learn_from = _some(train, assignment.request.seed)
    texts = examples.names
    classes = len(trained.classes)
    # Which n-grams there are is learnt without looking at labels, so the validation part may be among them.
    everything = np.concatenate([learn_from, validation])
    vocabulary = NgramVocabulary.learn(
        [texts[index] for index in everything], most=min(MOST_NGRAMS, MOST_WEIGHTS // classes)
    )
    if not len(vocabulary):
        return trained
    progress.check()
    rows = vocabulary.encode([texts[index] for index in everything])
    split = len(learn_from)
    labels, held_out = examples.labels[learn_from], examples.labels[validation]
    unseen = SparseMatrix(rows[split:], len(vocabulary))
    path = follow_path(
        (SparseMatrix(rows[:split], len(vocabulary)), labels),
        (unseen, held_out),
        classes,
        strengths=STRENGTHS,
        on_point=lambda number, point: _tell(progress, number, point),
        check=progress.check,
        tolerance=TOLERANCE,
    )
    network = np.log(np.clip(trained.probabilities, 1e-30, None))
    ngrams = (unseen.times(path.parameters[:-1]) + path.parameters[-1]).log_softmax(1).numpy()
    candidates = {
        NETWORK: [*balance([network], held_out), 0.0],
        NGRAMS: [0.0, *balance([ngrams], held_out)],
        NETWORK_AND_NGRAMS: balance([network, ngrams], held_out),
    }
    scores = {name: first * network + second * ngrams for name, (first, second) in candidates.items()}
    views = [_view(name, values, held_out) for name, values in scores.items()]
    chosen = choose_view(views, needs_network=assignment.strategy.trains_network).name
    metrics = trained.metrics | {"views": [view.to_json() for view in views], "view": chosen}
    if chosen == NETWORK:
        return replace(trained, metrics=metrics)
    weights = candidates[chosen]
    probabilities = torch.from_numpy(scores[chosen]).softmax(1).numpy()
    names = [texts[index] for index in validation]
    metrics |= evaluate(probabilities, held_out, trained.classes, names)
    found = _refit(rows, examples.labels[everything], vocabulary, path, progress)
    found = replace(found, head=found.head.scaled(weights[1]))
    if chosen == NGRAMS:
        trained = replace(trained, head=None, state=None, tokenizer=None)
    else:
        assert trained.head is not None
        trained = replace(trained, head=trained.head.scaled(weights[0]))
    return replace(trained, ngrams=found, metrics=metrics, probabilities=probabilities)


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


def _some(train: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    if len(train) <= MOST_EXAMPLES:
        return train
    return np.sort(np.random.default_rng(seed).choice(train, MOST_EXAMPLES, replace=False))


def _tell(progress: Progress, number: int, point: PathPoint) -> None:
    shown = f"{100 * point.validation_accuracy:.1f} % validation accuracy"
    progress.tell(number, len(STRENGTHS), shown)


def _refit(
    rows: Sequence[WeightedNgrams],
    labels: Labels,
    vocabulary: NgramVocabulary,
    path: Path,
    progress: Progress,
) -> NgramHead:
    """Fit the head once more on both parts, with the strength that was chosen."""
    data = SparseMatrix(rows, len(vocabulary)), torch.from_numpy(labels)
    parameters = minimise(path.parameters, data, path.strength, progress.check, tolerance=TOLERANCE).numpy()
    return NgramHead(vocabulary, Head(np.ascontiguousarray(parameters[:-1]), parameters[-1].copy()))
