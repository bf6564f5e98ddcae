"""The strategy `scratch`: a network with random weights, for data unlike any that networks are pretrained on."""

from pathlib import Path

import numpy as np
import torch

from ..loop.inputs import Pixels, Source, Tokens
from ..networks.factory import get_family
from ..networks.stages import token_table
from ..networks.vocabulary import vocabulary_size
from ..specs.hyperparameters import TrainConfig
from ..weights_files import read_verified
from .base import Assignment, TrainedModel
from .features import decode, encode
from .network_training import (
    Material,
    compact,
    new_head,
    train_network,
    with_own_tokenizer,
    without_unreadable,
)


def train(assignment: Assignment) -> TrainedModel:
    """Train a whole network from random weights. Raises `DataError`, `TrainingError`, `TrainingStopped`."""
    architecture, config = assignment.architecture, assignment.train_config()
    torch.manual_seed(assignment.request.seed)
    if architecture.reads_images:
        material = _images(assignment, config)
    elif architecture.makes_tokenizer:
        material = with_own_tokenizer(assignment)
    else:
        material = _texts(assignment)
    return train_network(assignment, material, config)


def _images(assignment: Assignment, config: TrainConfig) -> Material:
    architecture, request = assignment.architecture, assignment.request
    extracted = decode(
        architecture.image_preprocessing,
        assignment.examples,
        Path(request.output_dir),
        threads=assignment.threads,
        progress=assignment.progress,
        ranks=assignment.ranks,
    )
    assert extracted.pixels is not None
    source: Source = Pixels(extracted.pixels, config.augmentation, np.arange(len(assignment.examples)))
    examples, source = without_unreadable(assignment.examples, source, extracted.unreadable)
    network = get_family(architecture.family).build(architecture)
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=source,
        examples=examples,
        split=examples.split(request.data_split, request.seed),
        unreadable=len(extracted.unreadable),
    )


def _texts(assignment: Assignment) -> Material:
    """A network with the tokenizer of the pretrained one; the vectors of tokens that never come are 0."""
    architecture, examples = assignment.architecture, assignment.examples
    assert architecture.tokenizer is not None
    tokenizer = read_verified(architecture.tokenizer).decode()
    encoded = encode(tokenizer, architecture.text_preprocessing, examples.names, assignment.progress)
    used, sequences = compact(encoded)
    network = get_family(architecture.family).build(architecture, vocabulary=len(used))
    table = token_table(network)
    if table is None:
        used, sequences = (), encoded
    else:
        table = torch.zeros(vocabulary_size(tokenizer), table.shape[1])
    return Material(
        network=network,
        head=new_head(architecture, network, len(examples.classes)),
        source=Tokens(sequences),
        examples=examples,
        split=examples.split(assignment.request.data_split, assignment.request.seed),
        tokenizer=tokenizer,
        tokens=used,
        table=table,
    )
