"""A real model in two kilobytes: it tells red, green and blue pictures apart, and runs like a trained one."""

import hashlib
import io
from datetime import UTC, datetime

import numpy as np
import onnx
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from models_registry.artifacts import METADATA_KEY, ImagePreprocessing, ModelMetadata
from models_registry.models import RegisteredModel
from tests.factories import ArtifactFactory, RegisteredModelFactory

COLOURS = ("red", "green", "blue")
SIZE = 16


def picture(colour: str, kind: str = "PNG") -> bytes:
    """An image file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, kind)
    return buffer.getvalue()


def colour_model(token: str = "t") -> bytes:
    """An .onnx whose logits are the mean of each channel."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.float32([3.0]), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = ModelMetadata(
        token=token,
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
    content = colour_model(model.token)
    digest = hashlib.sha256(content).hexdigest()
    artifact = ArtifactFactory(model=model, size=len(content), sha256=digest)
    storages["default"].save(artifact.key, ContentFile(content))
    return model
