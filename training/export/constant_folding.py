"""Work out what an exported graph computes from constants alone, as the exporter leaves it to the runtime.

The runtime does so too late: it finds the bias of a convolution still being cast and expanded when it looks for
layers to fuse, and runs batch norms and activations on their own, in half as many images a second.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[np.generic]

MOST_NUMBERS = 65_536  # of a folded tensor; a larger one would only make the file larger
NEVER = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}


def fold_constants(model: onnx.ModelProto) -> None:
    """Put constants in the place of nodes that always give the same.

    Initializers count for their shapes only: they are a network's weights, and others may be poured in.
    """
    graph = model.graph
    types = _types(model)
    shapes = {one.name: np.array(one.dims, np.int64) for one in graph.initializer}
    known: dict[str, Array] = {}
    kept = []
    for node in graph.node:
        value = _value(node, known, shapes, types, model)
        if value is None or value.size > MOST_NUMBERS:
            kept.append(node)
        else:
            known[node.output[0]] = value
    used = {name for node in kept for name in node.input} | {output.name for output in graph.output}
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, order="C"), name)
        for name, value in known.items()
        if name in used
    )


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element types of the graph's tensors, as far as they can be inferred."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    infos = (*graph.input, *graph.value_info, *graph.output)
    types = {one.name: one.type.tensor_type.elem_type for one in infos}
    return types | {one.name: one.data_type for one in graph.initializer}


def _value(
    node: onnx.NodeProto,
    known: Mapping[str, Array],
    shapes: Mapping[str, Array],
    types: Mapping[str, int],
    model: onnx.ModelProto,
) -> Array | None:
    """Return what a node always gives; None when that depends on the graph's inputs."""
    if len(node.output) != 1 or node.op_type in NEVER:
        return None
    if node.op_type == "Shape" and node.input[0] in shapes:
        attributes = {one.name: one.i for one in node.attribute}
        return shapes[node.input[0]][attributes.get("start", 0) : attributes.get("end")]
    if node.op_type == "CastLike" and node.input[0] in known:
        kind = types.get(node.input[1], TensorProto.UNDEFINED)
        if kind == TensorProto.UNDEFINED:
            return None
        return known[node.input[0]].astype(helper.tensor_dtype_to_np_dtype(kind))
    if not all(name in known for name in node.input if name):
        return None
    if any(one.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for one in node.attribute):
        return None
    return _run(node, known, model)


def _run(node: onnx.NodeProto, known: Mapping[str, Array], model: onnx.ModelProto) -> Array:
    names = list(dict.fromkeys(name for name in node.input if name))
    given = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(known[name].dtype), known[name].shape
        )
        for name in names
    ]
    result = helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None)
    alone = helper.make_model(
        helper.make_graph([node], "constant", given, [result]), opset_imports=model.opset_import
    )
    (value,) = ReferenceEvaluator(alone).run(None, {name: known[name] for name in names})
    return np.asarray(value)
