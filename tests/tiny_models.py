"""A real model in two kilobytes: it tells red, green and blue pictures apart, and runs like a trained one."""

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from bucket.factory import get_bucket
from models_registry.artifacts import (
    ACTIVATION_MAP,
    METADATA_KEY,
    TOKENIZER_KEY,
    ImagePreprocessing,
    ModelMetadata,
    TextPreprocessing,
)
from models_registry.artifacts.ngrams import NgramVocabulary
from models_registry.models import RegisteredModel
from tests.factories import ArtifactFactory, RegisteredModelFactory
from training.engine.export.classifier import ExportedClassifier, Head, NgramHead
from training.engine.export.onnx_graph import export_onnx

COLOURS = ("red", "green", "blue")
SIZE = 16
MOODS = {"?": 0.0, "glad": 2.0, "sad": -2.0, "rather": 0.5, ".": 0.0, "你": 1.0, "好": 3.0}


def picture(colour: str, kind: str = "PNG") -> bytes:
    """An image file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, kind)
    return buffer.getvalue()


def colour_model(public_id: str = "i") -> bytes:
    """An .onnx whose logits are the mean of each channel."""
    nodes = [
        helper.make_node("Mul", ["image", "scale"], [ACTIVATION_MAP]),
        helper.make_node("GlobalAveragePool", [ACTIVATION_MAP], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = {"logits": [], "probabilities": [], ACTIVATION_MAP: [SIZE, SIZE]}
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, *places])
            for name, places in outputs.items()
        ],
        [numpy_helper.from_array(np.float32([3.0]), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = ModelMetadata(
        public_id=public_id,
        name="Colours",
        task_type="imageclassification",
        architecture="means",
        strategy="frozen",
        classes=COLOURS,
        preprocessing=ImagePreprocessing(SIZE, SIZE).to_json(),
        data_sha256="0" * 64,
        created=datetime.now(UTC).isoformat(),
    )
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def mood_model(public_id: str = "i", *, max_length: int = 64) -> bytes:
    """An .onnx that says of a text whether there is more joy or more sorrow in it, word by word."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(MOODS)}, unk_token="?"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    scores = np.float32([[value, -value] for value in MOODS.values()])
    nodes = [
        helper.make_node("Gather", ["scores", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
        helper.make_node("Mul", ["each", "weights"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "moods",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2])
            for name in ("logits", "probabilities")
        ],
        [
            numpy_helper.from_array(scores, "scores"),
            numpy_helper.from_array(np.int64([2]), "last"),
            numpy_helper.from_array(np.int64([1]), "tokens"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = ModelMetadata(
        public_id=public_id,
        name="Moods",
        task_type="textclassification",
        architecture="sums",
        strategy="frozen",
        classes=("joy", "sorrow"),
        preprocessing={"max_length": max_length},
        data_sha256="0" * 64,
        created=datetime.now(UTC).isoformat(),
    )
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json(), TOKENIZER_KEY: tokenizer.to_str()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def ngram_model(*, has_network: bool, windows: int = 1) -> bytes:
    """An .onnx that reads a text's n-grams, with or without the network of `mood_model` beside them.

    With several windows, the network reads three tokens at a time.
    """
    vocabulary = NgramVocabulary.learn(["glad rather", "glad fellow", "sad rather", "sad fellow"], most=1000)
    weight = np.random.default_rng(0).normal(size=(len(vocabulary), 2)).astype(np.float32)
    ngrams = NgramHead(vocabulary, Head(weight, np.float32([0.1, 0.2])))
    moods = onnx.load_from_string(mood_model())
    properties = {entry.key: entry.value for entry in moods.metadata_props}
    metadata = ModelMetadata.from_json(properties[METADATA_KEY])
    if windows > 1:
        metadata = replace(metadata, preprocessing=TextPreprocessing(3, windows).to_json())
    if not has_network:
        return export_onnx(None, ExportedClassifier(None, ngrams, metadata, None))
    del moods.graph.node[-1]  # what comes out of the network are its logits
    moods.graph.node[-1].output[0] = "features"
    head = Head(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    classifier = ExportedClassifier(head, ngrams, metadata, properties[TOKENIZER_KEY])
    return export_onnx(moods.SerializeToString(), classifier)


def undescribed_colour_model(batch: int | None = None) -> bytes:
    """The same network as others export it: no metadata, names of its own, logits, any size of image."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input.1"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "torch_jit",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [batch or "N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch or "N", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def live_colour_model(**fields: object) -> RegisteredModel:
    """A registered model with that file in the bucket."""
    model = RegisteredModelFactory(name="Colours", classes=list(COLOURS), **fields)
    return _with_file(model, colour_model(str(model.public_id)))


def live_mood_model(**fields: object) -> RegisteredModel:
    """A registered model for texts with its file in the bucket."""
    fields = {"task_type": "textclassification", **fields}
    model = RegisteredModelFactory(name="Moods", classes=["joy", "sorrow"], **fields)
    return _with_file(model, mood_model(str(model.public_id)))


def _with_file(model: RegisteredModel, content: bytes) -> RegisteredModel:
    digest = hashlib.sha256(content).hexdigest()
    artifact = ArtifactFactory(model=model, size=len(content), sha256=digest)
    get_bucket().save(artifact.key, BytesIO(content))
    return model
