"""Training a network, whole or its last stages: the part that fine-tuning and scratch have in common."""

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import nn

from models_registry.artifacts.machine import Measured
from models_registry.artifacts.model_metrics import ModelMetrics

from ..catalogue import Architecture
from ..data import Split
from ..examples import Examples
from ..export.classifier import Head
from ..loop.arithmetic import FLOAT32, KEPT_IN, MOST, ON_GPU, Arithmetic, choose
from ..loop.evaluation import evaluate
from ..loop.inputs import Source, Tokens
from ..loop.loop import Classifier, Fitted, RunContext, Task, fit, refit
from ..networks.factory import get_family
from ..networks.stages import EMBEDDING, Network, State
from ..networks.vocabulary import make_tokenizer, vocabulary_size
from ..specs.hyperparameters import TrainConfig
from .base import Assignment, TrainedModel
from .features import encode
from .plot import draw_epochs

# With few examples, the validation part is worth too much to be left unused. So once the last stages have been
# measured, they go on with all examples: with few of them for long enough to forget that there was a first part
# (flowers: 97.5 % become 98.6 %), with more for a few epochs, and with very many not at all.
REFIT_EPOCHS, FEW = 5, 5_000
SHORT_REFIT_EPOCHS, REFIT_UP_TO = 3, 20_000


@dataclass(frozen=True)
class Material:
    """What is trained: a network from stage `start` on, where `source` feeds it, with `cut` stages frozen.

    `examples` and `source` hold the readable ones only. `table` are the vectors of all tokens when the
    network was built for `tokens` of them alone. `learnt_pieces` is how many a tokenizer knows that was made of the
    data; 0 for one that came along.
    """

    network: Network
    head: nn.Linear
    source: Source
    examples: Examples
    split: Split
    start: int = 0
    cut: int = 0
    tokenizer: str | None = None
    tokens: tuple[int, ...] = ()
    table: torch.Tensor | None = None
    unreadable: int = 0
    learnt_pieces: int = 0


def train_network(assignment: Assignment, material: Material, config: TrainConfig) -> TrainedModel:
    """Train as planned. Raises `TrainingError`, `TrainingStopped`."""
    examples, request, progress = material.examples, assignment.request, assignment.progress
    unit = "texts" if material.tokenizer is not None else "images"
    progress.enter("train", "The network learns the classes")
    classifier = Classifier(material.network, material.head, start=material.start, cut=material.cut)
    task = task_of(material)
    arithmetic = choose_arithmetic(assignment, material, classifier, config)
    context = RunContext(assignment.device, request.seed, unit, ranks=assignment.ranks, arithmetic=arithmetic)
    fitted = fit(classifier, task, config, context, progress=progress, checkpoints=assignment.checkpoints)
    metrics = _measure(material, fitted)
    again = material.start > 0 and len(examples) <= REFIT_UP_TO
    if again:
        progress.enter("train", "The network learns from the validation part, too")
        if len(examples) <= FEW:
            epochs = min(REFIT_EPOCHS, 2 * config.epochs)
        else:
            epochs = min(SHORT_REFIT_EPOCHS, max(1, config.epochs // 2))
        whole = replace(config, epochs=epochs, one_cycle=True, early_stopping=0)
        context = replace(context, arithmetic=fitted.arithmetic)
        refit(classifier, task, whole, context, progress=progress, epochs=fitted.epochs)
    metrics |= {
        "refit_on_all": again,
        "unreadable": material.unreadable,
        "settings": asdict(config),
        "arithmetic": str(fitted.arithmetic),
        "trained_stages": len(material.network.stages) - material.cut,
        "unused_settings": unused_settings(assignment, material, fitted.arithmetic),
    }
    if material.learnt_pieces:
        metrics["learnt_pieces"] = material.learnt_pieces
    return TrainedModel(
        head=head_of(classifier),
        state=whole_state(classifier, material),
        tokenizer=material.tokenizer,
        classes=examples.classes,
        metrics=metrics,
        draw=partial(draw_epochs, fitted.epochs, fitted.best_epoch, metrics["majority_baseline"]),
        examples=examples,
        validation=material.split.validation,
        probabilities=fitted.probabilities,
    )


def task_of(material: Material) -> Task:
    """Return what is to be learnt."""
    return Task(
        source=material.source,
        labels=material.examples.labels,
        classes=len(material.examples.classes),
        train=np.array(material.split.train, np.int64),
        validation=np.array(material.split.validation, np.int64),
    )


def choose_arithmetic(
    assignment: Assignment, material: Material, classifier: Classifier, config: TrainConfig
) -> Arithmetic:
    """Return what the network is trained in; all ranks do as the first one finds."""
    if not config.mixed_precision:
        return FLOAT32
    if assignment.device.type == "cuda":
        return ON_GPU
    measured = Measured(assignment.cache_dir / KEPT_IN)
    name = f"{assignment.architecture.name} from stage {material.cut}"
    if material.start < material.cut:
        name += f", fed at {material.start}"
    train = np.array(material.split.train, np.int64)
    rows = train[: min(MOST, config.batch_size)]
    truth = torch.from_numpy(material.examples.labels[rows])
    batch = (*material.source.batch(rows, assignment.device, None), truth)
    examples = len(train) * config.epochs
    if not assignment.ranks.is_first:
        assignment.ranks.wait()
        return choose(measured, name, classifier, batch, examples=0)
    found = choose(measured, name, classifier, batch, examples=examples)
    assignment.ranks.wait()
    return found


def _measure(material: Material, fitted: Fitted) -> ModelMetrics:
    examples, validation = material.examples, list(material.split.validation)
    names = [examples.names[index] for index in validation]
    groups = examples.groups_of(validation)
    metrics = evaluate(fitted.probabilities, examples.labels[validation], examples.classes, names, groups)
    metrics.update(cast(ModelMetrics, examples.independence))
    metrics |= {
        "train_examples": len(material.split.train),
        "validation_examples": len(validation),
        "curve": [epoch.shown().to_json() for epoch in fitted.epochs],
        "best_epoch": fitted.best_epoch,
        "chosen_point": fitted.best_epoch - 1,
    }
    if fitted.resumed_from_epoch:
        metrics["resumed_from_epoch"] = fitted.resumed_from_epoch
    return metrics


def head_of(classifier: Classifier) -> Head:
    """Return the classifier's head as it is exported."""
    weight, bias = (
        value.detach().float().cpu().numpy() for value in (classifier.head.weight, classifier.head.bias)
    )
    return Head(np.ascontiguousarray(weight.T), bias)


def whole_state(classifier: Classifier, material: Material) -> State:
    """Return the network's state; tokens that came nowhere have the vectors that they had before."""
    state = {name: value.detach().float().cpu() for name, value in classifier.network.state_dict().items()}
    if material.table is not None:
        table = material.table.clone()
        table[list(material.tokens)] = state[EMBEDDING]
        state[EMBEDDING] = table
    return state


def new_head(architecture: Architecture, network: Network, classes: int) -> nn.Linear:
    """Return a head that knows next to nothing: all classes are about equally likely."""
    dimension = architecture.dimension or probe(architecture, network).shape[1]
    head = nn.Linear(dimension, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def probe(architecture: Architecture, network: Network, stages: int | None = None) -> torch.Tensor:
    """Return what comes out of the first stages, or of all, for one image or one token that mean nothing."""
    inputs = get_family(architecture.family).example_inputs(architecture, 1, 1)
    mask = inputs[1] if len(inputs) > 1 else None
    with torch.inference_mode():
        return network.eval().walk(inputs[0], mask, 0, len(network.stages) if stages is None else stages)


def known_head(found: Head) -> nn.Linear:
    """Return a head that was fitted on frozen features."""
    head = nn.Linear(*found.weight.shape)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(found.weight.T.copy()))
        head.bias.copy_(torch.from_numpy(found.bias))
    return head


def without_unreadable(
    examples: Examples, source: Source, unreadable: dict[int, str]
) -> tuple[Examples, Source]:
    """Return both without the examples that could not be read."""
    if not unreadable:
        return examples, source
    kept = np.array([index for index in range(len(examples)) if index not in unreadable], np.int64)
    return examples.without(frozenset(unreadable)), source.only(kept)


def with_own_tokenizer(assignment: Assignment) -> Material:
    """Return a network that knows nothing, and a tokenizer made from the texts of the training part, in any language.

    Raises `TrainingStopped`.
    """
    architecture, examples = assignment.architecture, assignment.examples
    split = examples.split(assignment.request.data_split, assignment.request.seed)
    tokenizer = make_tokenizer(examples.names[index] for index in split.train)
    pieces = vocabulary_size(tokenizer)
    sequences = encode(tokenizer, architecture.text_preprocessing, examples.names, assignment.progress)
    network = get_family(architecture.family).build(architecture, vocabulary=pieces)
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=Tokens(sequences),
        examples=examples,
        split=split,
        tokenizer=tokenizer,
        learnt_pieces=pieces,
    )


def unused_settings(assignment: Assignment, material: Material, arithmetic: Arithmetic) -> list[str]:
    """Return the names of the given settings that changed nothing."""
    given = assignment.request.hyperparameters
    unused = ["budget_minutes"] if given.budget_minutes else []
    if given.augmentation and material.tokenizer is not None:
        unused.append("augmentation")
    if given.mixed_precision and not arithmetic.half:
        unused.append("mixed_precision")
    if given.trainable and len(assignment.strategy.configs[assignment.architecture.kind]) == 1:
        unused.append("trainable")
    return unused


def compact(sequences: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], list[Sequence[int]]]:
    """Return which tokens come at all, and the texts in places of that list.

    Only the vectors of tokens that come are trained, and there are few of them: an optimizer that
    went over all thirty thousand at every step would take longer than the network.
    """
    tokens = tuple(sorted({token for sequence in sequences for token in sequence}))
    places = {token: place for place, token in enumerate(tokens)}
    return tokens, [array("i", [places[token] for token in sequence]) for sequence in sequences]
