"""The .onnx of a trained model: its weights poured into a graph that was exported once, its head grafted on.

A fresh export of the whole network takes ten seconds for each job; this takes a fraction of one and
gives the same graph.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models_registry.artifacts import METADATA_KEY, TOKENIZER_KEY, ModelMetadata

FEATURES = "features"  # the one output of a prepared backbone


def initializer_names(model: onnx.ModelProto) -> set[str]:
    """Return the names of a graph's constant tensors."""
    return {initializer.name for initializer in model.graph.initializer}


def pour_weights(backbone: bytes, state: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """Return a prepared backbone's .onnx with the weights of a network's state."""
    model = onnx.load_from_string(backbone)
    for initializer in model.graph.initializer:
        if initializer.name in state:
            value = np.ascontiguousarray(state[initializer.name], np.float32)
            initializer.CopyFrom(numpy_helper.from_array(value, initializer.name))
    content: bytes = model.SerializeToString()
    return content


def with_outputs(backbone: bytes, names: Sequence[str]) -> bytes:
    """Return a prepared backbone's .onnx with these of its outputs only; the runtime computes no others."""
    model = onnx.load_from_string(backbone)
    outputs = {output.name: output for output in model.graph.output}
    kept = [outputs[name] for name in names]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    content: bytes = model.SerializeToString()
    return content


def graft_head(
    backbone: bytes,
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    metadata: ModelMetadata,
    tokenizer: str | None,
) -> bytes:
    """Return a backbone's .onnx with the outputs `logits` and `probabilities` and the model's description.

    `weight` is dimension × classes, `bias` has one number for each class.
    """
    model = onnx.load_from_string(backbone)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(weight, np.float32), "head.weight"))
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(bias, np.float32), "head.bias"))
    graph.node.append(helper.make_node("Gemm", [FEATURES, "head.weight", "head.bias"], ["logits"], "head"))
    graph.node.append(helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=-1))
    del graph.output[:]
    shape = ("batch", len(bias))
    for name in ("logits", "probabilities"):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    properties = {METADATA_KEY: metadata.to_json()}
    if tokenizer is not None:
        properties[TOKENIZER_KEY] = tokenizer
    helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
