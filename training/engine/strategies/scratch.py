"""The strategy `scratch`: a network with random weights, for data unlike any that networks are pretrained on."""

from pathlib import Path

import numpy as np
import torch

from models_registry.artifacts import ImagePreprocessing, TextPreprocessing

from ..loop.inputs import Pixels, Source, Tokens
from ..networks.checksums import read_pinned
from ..networks.stages import EMBEDDING, VOCABULARY, build
from ..networks.vocabulary import make_tokenizer, vocabulary_size
from ..specs.hyperparameters import TrainConfig
from .base import Assignment, TrainedModel
from .features import decode, encode
from .network_training import Material, compact, new_head, train_network, without_unreadable


def train(assignment: Assignment) -> TrainedModel:
    """Train a whole network from random weights. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    architecture = assignment.architecture
    is_image = isinstance(architecture.preprocessing, ImagePreprocessing)
    config = assignment.train_config()
    torch.manual_seed(assignment.request.seed)
    if is_image:
        material = _images(assignment, config)
    elif architecture.kind == "encoder":
        material = _encoder(assignment)
    else:
        material = _recurrent(assignment)
    return train_network(assignment, material, config)


def _images(assignment: Assignment, config: TrainConfig) -> Material:
    architecture, request = assignment.architecture, assignment.request
    assert isinstance(architecture.preprocessing, ImagePreprocessing)
    extracted = decode(
        architecture.preprocessing,
        assignment.examples,
        Path(request.output_dir),
        threads=assignment.threads,
        progress=assignment.progress,
        ranks=assignment.ranks,
    )
    assert extracted.pixels is not None
    source: Source = Pixels(extracted.pixels, config.augmentation, np.arange(len(assignment.examples)))
    examples, source = without_unreadable(assignment.examples, source, extracted.unreadable)
    network = build(architecture)
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=source,
        examples=examples,
        split=examples.split(request.data_split, request.seed),
        unreadable=len(extracted.unreadable),
    )


def _encoder(assignment: Assignment) -> Material:
    """An encoder with the tokenizer of the pretrained one; the vectors of tokens that never come are 0."""
    architecture, examples = assignment.architecture, assignment.examples
    assert architecture.tokenizer is not None
    tokenizer = read_pinned(architecture.tokenizer).decode()
    encoded = _encode(assignment, tokenizer)
    if architecture.family == "hub":
        network = build(architecture)
        return Material(
            network=network,
            head=new_head(architecture, network, len(examples.classes)),
            source=Tokens(encoded),
            examples=examples,
            split=examples.split(assignment.request.data_split, assignment.request.seed),
            tokenizer=tokenizer,
        )
    tokens, sequences = compact(encoded)
    network = build(architecture, vocabulary=len(tokens))
    table = torch.zeros(VOCABULARY, network.state_dict()[EMBEDDING].shape[1])
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=Tokens(sequences),
        examples=examples,
        split=examples.split(assignment.request.data_split, assignment.request.seed),
        tokenizer=tokenizer,
        tokens=tokens,
        table=table,
    )


def _recurrent(assignment: Assignment) -> Material:
    """A recurrent network with a tokenizer made from the training part's own words, in any language."""
    architecture, examples = assignment.architecture, assignment.examples
    split = examples.split(assignment.request.data_split, assignment.request.seed)
    tokenizer = make_tokenizer(examples.names[index] for index in split.train)
    sequences = _encode(assignment, tokenizer)
    network = build(architecture, vocabulary=vocabulary_size(tokenizer))
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=Tokens(sequences),
        examples=examples,
        split=split,
        tokenizer=tokenizer,
    )


def _encode(assignment: Assignment, tokenizer: str) -> list[list[int]]:
    preprocessing = assignment.architecture.preprocessing
    assert isinstance(preprocessing, TextPreprocessing)
    return encode(tokenizer, preprocessing, assignment.examples.names, assignment.progress)
