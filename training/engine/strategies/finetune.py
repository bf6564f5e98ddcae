"""The strategy `finetune`: a pretrained network goes on learning, whole or its last stages only.

In front of the stages that are trained, nothing changes from epoch to epoch. So every image and its
mirror image, or every text, passes through the others once, and the epochs read what came out of them.
The head starts from the solution of the strategy `frozen`, or else its first, blind gradients would
spoil what the network knows (Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", 2022). What `frozen` would have published is kept beside it, and published where fine-tuning
has not paid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..data import Split
from ..examples import Examples
from ..export.classifier import Head
from ..loop.inputs import ImageActivations, Pixels, Source, TextActivations, Tokens, Vectors, fits_on_disk
from ..networks.backbones import PreparedBackbone, get_backbone
from ..networks.factory import get_family
from ..networks.stages import Network, keep_tokens, token_table
from ..networks.vocabulary import suits
from ..specs.hyperparameters import Hyperparameters, TrainConfig
from ..specs.strategies import FINETUNE, FROZEN, find_strategy
from ..weights_files import read_verified
from .base import Assignment, TrainedModel
from .comparison import compared, is_better
from .features import Extracted, Seen, Wanted, encode, extract
from .frozen import choose_reading, fit_head, publish, wanted_windows, wants_views
from .linear_head import Selection, refit_head
from .naive_split import gain_of_split
from .network_training import (
    Material,
    compact,
    known_head,
    new_head,
    probe,
    train_network,
    with_own_tokenizer,
    without_unreadable,
)

WHOLE_FROM = 5_000  # examples, from which a GPU trains the whole network unless told otherwise
LEAST_OF_CLASS = 3  # training examples, below which steps spoil more than a validation part as small can show


def train(assignment: Assignment) -> TrainedModel:
    """Go on training a pretrained network. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    architecture, given = assignment.architecture, assignment.request.hyperparameters
    torch.manual_seed(assignment.request.seed)
    family = get_family(architecture.family)
    if not family.is_prepared:
        return train_network(assignment, _with_new_head(assignment), assignment.train_config())
    backbone = get_backbone(architecture, assignment.cache_dir)
    network = family.build_pretrained(architecture)
    trainable = choose_trainable(given.trainable, network, assignment)
    config = assignment.train_config(trainable)
    cut = {"head": len(network.stages), "last": network.last_cut, "all": 0}[trainable]
    material, fast = prepare(assignment, backbone, network, cut, config)
    # Who chooses settings by hand wants to see what comes of them.
    if replace(given, budget_minutes=None) != Hyperparameters():
        return claiming_naively(assignment, train_network(assignment, material, config), fast)
    return _the_better(
        assignment, None if fast.is_of_few else train_network(assignment, material, config), fast
    )


@dataclass(frozen=True)
class Fast:
    """What the strategy `frozen` would publish, as far as it is known before anything is trained."""

    seen: Seen
    examples: Examples
    split: Split
    selection: Selection
    unreadable: int

    @property
    def is_of_few(self) -> bool:
        """Whether there are too few examples of most classes to go on training with."""
        labels = self.examples.labels[list(self.split.train)]
        return bool(np.median(np.unique(labels, return_counts=True)[1]) < LEAST_OF_CLASS)


def _the_better(assignment: Assignment, trained: TrainedModel | None, fast: Fast) -> TrainedModel:
    """Return what was trained, if it was and pays, or else the answer of `frozen`."""
    validation = list(fast.split.validation)
    labels = fast.examples.labels[validation]
    frozen = fast.selection.head.probabilities(fast.seen.features[validation])
    answers, kept = [(find_strategy(FROZEN).label, frozen)], FROZEN
    if trained is not None:
        answers.append((find_strategy(FINETUNE).label, trained.probabilities))
    if trained is not None and is_better(trained.probabilities, frozen, labels):
        trained, kept = claiming_naively(assignment, trained, fast), FINETUNE
    else:
        trained = publish(assignment, fast.seen, fast.examples, fast.split, fast.selection, fast.unreadable)
    trained.metrics.update({"candidates": compared(answers, labels), "kept": find_strategy(kept).label})
    trained.metrics["too_few_to_train"] = fast.is_of_few
    return trained


def claiming_naively(assignment: Assignment, trained: TrainedModel, fast: Fast) -> TrainedModel:
    """Return the model that works out what a naive split would have claimed by the head on pretrained features."""
    seed, check = assignment.request.seed, assignment.progress.check
    gain = partial(gain_of_split, fast.seen, fast.examples, fast.split, fast.selection, seed, check)
    return replace(trained, naive_gain=gain)


def choose_trainable(wanted: str | None, network: Network, assignment: Assignment) -> str:
    """Return which part to train."""
    if wanted == "last" and not network.last_cut:
        return "all"  # a network whose stages are not known
    if wanted is not None:
        return wanted
    on_gpu = assignment.device.type == "cuda"
    whole = not network.last_cut or (on_gpu and len(assignment.examples) >= WHOLE_FROM)
    return "all" if whole else "last"


def prepare(
    assignment: Assignment, backbone: PreparedBackbone, network: Network, cut: int, config: TrainConfig
) -> tuple[Material, Fast]:
    """Let the frozen stages look at every example, and fit the head's start."""
    examples, request, progress = assignment.examples, assignment.request, assignment.progress
    tokens = None if assignment.architecture.reads_images else tokens_of(assignment)
    feeding = Feeding.choose(assignment, network, cut, config, tokens)
    progress.enter("features", "The pretrained network looks at every example", len(examples))
    extracted = extract(
        backbone,
        examples,
        replace(feeding.wanted, views=wants_views(assignment), windows=wanted_windows(assignment, backbone)),
        threads=assignment.threads,
        progress=progress,
        checkpoints=assignment.checkpoints,
        cache=assignment.features,
        ranks=assignment.ranks,
    )
    source = feeding.source(extracted, config)
    used: tuple[int, ...] = ()
    table = token_table(network) if isinstance(source, Tokens) and not cut else None
    if table is not None:
        used, source = compact_table(network, extracted.tokens)
    readable, source = without_unreadable(examples, source, extracted.unreadable)
    split = readable.split(request.data_split, request.seed)
    seen = choose_reading(extracted, readable, split, request.seed, progress)
    selection = fit_head(seen, readable, split, request.seed, progress)
    material = Material(
        network=network,
        head=known_head(_start(seen, readable, split, selection, progress.check)),
        source=source,
        examples=readable,
        split=split,
        start=feeding.start,
        cut=cut,
        tokenizer=backbone.tokenizer(),
        tokens=used,
        table=table,
        unreadable=len(extracted.unreadable),
    )
    return material, Fast(seen, readable, split, selection, len(extracted.unreadable))


def _start(
    seen: Seen, examples: Examples, split: Split, selection: Selection, check: Callable[[], None]
) -> Head:
    """Return the head that a network starts from: on its features as they are.

    A network that is trained through roots of them ends worse (decision 011).
    """
    if not selection.head.reads_roots:
        return selection.head
    train = list(split.train)
    nothing = Head(np.zeros_like(selection.head.weight), np.zeros_like(selection.head.bias))
    features = seen.only(train).with_labels(examples.labels[train])
    return refit_head(*features, nothing, selection.strength, check=check)


@dataclass(frozen=True)
class Feeding:
    """At which stage the epochs begin, and what must be extracted for that."""

    start: int
    wanted: Wanted
    is_image: bool
    head_only: bool

    @classmethod
    def choose(
        cls,
        assignment: Assignment,
        network: Network,
        cut: int,
        config: TrainConfig,
        tokens: Sequence[Sequence[int]] | None,
    ) -> "Feeding":
        """Begin behind the frozen stages, unless images are to differ, or there is no room for that."""
        folder, is_image = Path(assignment.request.output_dir), tokens is None
        if cut == len(network.stages):
            return cls(cut, Wanted(folder, tokens=tokens), is_image, True)
        differ = is_image and config.augmentation != "none"
        if (
            cut
            and not differ
            and fits_on_disk(folder, _size_of_activations(assignment, network, cut, tokens))
        ):
            mirrored = is_image and assignment.request.hyperparameters.augmentation is None
            return cls(cut, Wanted(folder, cut, mirrored=mirrored, tokens=tokens), is_image, False)
        return cls(0, Wanted(folder, pixels=is_image, tokens=tokens), is_image, False)

    def source(self, extracted: Extracted, config: TrainConfig) -> Source:
        """Return the source of what was extracted."""
        rows = np.arange(len(extracted.features))
        if self.head_only:
            return Vectors(extracted.features)
        if self.is_image and extracted.activations is not None:
            return ImageActivations(extracted.activations, rows)
        if self.is_image:
            assert extracted.pixels is not None
            return Pixels(extracted.pixels, config.augmentation, rows)
        if extracted.activations is None:
            return Tokens(extracted.tokens)
        lengths = [len(sequence) for sequence in extracted.tokens]
        return TextActivations(extracted.activations, np.cumsum([0, *lengths])[:-1], lengths)


def _size_of_activations(
    assignment: Assignment, network: Network, cut: int, tokens: Sequence[Sequence[int]] | None
) -> int:
    """Return how many bytes the activations of all examples take."""
    one = probe(assignment.architecture, network, cut)
    size = one.numel() * one.element_size()
    return size * (2 * len(assignment.examples) if tokens is None else sum(map(len, tokens)))


def tokens_of(assignment: Assignment) -> list[Sequence[int]]:
    """Return the token ids of all texts. Raises `TrainingStopped`."""
    architecture = assignment.architecture
    assert architecture.tokenizer is not None
    tokenizer = read_verified(architecture.tokenizer).decode()
    return encode(tokenizer, architecture.text_preprocessing, assignment.examples.names, assignment.progress)


def compact_table(network: Network, sequences: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], Tokens]:
    """Leave the network with the vectors of those tokens only that come at all."""
    tokens, compacted = compact(sequences)
    keep_tokens(network, tokens)
    return tokens, Tokens(compacted)


def _with_new_head(assignment: Assignment) -> Material:
    """Return a network of which the token vectors alone are pretrained, with a head that knows nothing.

    Where these stand for single letters of the texts' script, or for none, nothing is pretrained, and the tokenizer is
    made of the texts.
    """
    architecture, examples = assignment.architecture, assignment.examples
    assert architecture.tokenizer is not None
    tokenizer = read_verified(architecture.tokenizer).decode()
    if not suits(tokenizer, examples.names):
        return with_own_tokenizer(assignment)
    network = get_family(architecture.family).build_pretrained(architecture)
    table = token_table(network)
    tokens, source = compact_table(network, tokens_of(assignment))
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=source,
        examples=examples,
        split=examples.split(assignment.request.data_split, assignment.request.seed),
        tokenizer=tokenizer,
        tokens=tokens,
        table=table,
    )
