"""What the pretrained networks say of examples, for benchmarks that fit other heads on it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from benchmarks.labelled_data import CACHE, Labelled
from models_registry.artifacts.sessions import open_session
from models_registry.artifacts.texts import TextEncoder, length_batches, pad
from training.engine.catalogue import get_architecture
from training.engine.export.onnx_graph import with_outputs
from training.engine.networks.backbones import get_backbone

TOKENS = 2048  # of a batch
THREADS = 2

Features = npt.NDArray[np.float32]


def text_features(examples: Labelled) -> Features:
    """Return MiniLM's features, examples × dimension."""
    architecture = get_architecture("minilm")
    backbone = get_backbone(architecture, CACHE)
    session = open_session(with_outputs(backbone.onnx.read_bytes(), ["features"]), threads=THREADS)
    encoder = TextEncoder(backbone.tokenizer() or "", architecture.text_preprocessing)
    tokens = encoder.encode([str(text) for text, _ in examples])
    features = np.empty((len(examples), architecture.dimension or 0), np.float32)
    for batch in length_batches([len(ids) for ids in tokens], tokens=TOKENS):
        features[batch] = session.run(None, {**pad([tokens[index] for index in batch])})[0]
    return features


def image_features(examples: Labelled) -> Features:
    """Return EfficientNet-Lite0's features, examples × dimension."""
    architecture = get_architecture("efficientnet lite0")
    backbone = get_backbone(architecture, CACHE)
    session = open_session(with_outputs(backbone.onnx.read_bytes(), ["features"]), threads=1)
    preprocessing = architecture.image_preprocessing

    def one(content: bytes | str) -> Features:
        assert isinstance(content, bytes)
        pixels = preprocessing.normalise([preprocessing.pixels(content)])
        found: Features = session.run(None, {"image": pixels})[0]
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        return np.concatenate([*pool.map(one, (content for content, _ in examples))])
