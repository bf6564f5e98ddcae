"""The .onnx of a trained model: its weights poured into a graph that was exported once, its head grafted on.

A fresh export of the whole network takes ten seconds for each job; this takes a fraction of one and
gives the same graph.

Where the features are the means of a map over places, the head's weights can be laid on the map itself:
that is a class activation map (Zhou, Khosla, Lapedriza, Oliva and Torralba, 2016). Where the head reads
roots of these means, each root is shared out among places as its activation is. The map becomes one more
output, behind those that every client reads; who does not ask for it computes next to nothing for it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models_registry.artifacts import ACTIVATION_MAP
from models_registry.artifacts.metadata import NGRAM_IDS, NGRAM_WEIGHTS, WINDOW_IDS, WINDOW_WEIGHTS

from .classifier import LEAST_SUM, SMOOTH, ExportedClassifier, Head

FEATURES = "features"  # the one output of a prepared backbone
# What stands between a pool and the features without changing a number. The exporter writes some flattenings
# as a gathering from a row of all numbers; a map that does not average to the logits is never shown.
LAYOUT = {"Flatten", "Gather", "Identity", "Reshape", "Squeeze"}
ROOTS = "roots"  # of the features, where the head reads these
LEAST_MEAN = 1e-30  # of an activation, by which is divided
OPSET, IR_VERSION = 18, 10  # of a graph that has no network in it
CHANNELS_FIRST, CHANNELS_LAST = ((2, 3), (1, 2))  # the axes of places


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


def export_onnx(network: bytes | None, classifier: ExportedClassifier) -> bytes:
    """Return a network's .onnx with the outputs `logits` and `probabilities` and the model's description.

    Without a network, it is that of the n-grams alone. A network whose features are means over places also
    gets `class_activation_map`, N × classes × height × width, which averages to the logits. Whether the
    file is sound is seen when it is run beside the .pt.
    """
    model = _empty() if network is None else onnx.load_from_string(network)
    graph = model.graph
    del graph.output[:]
    logits = []
    if classifier.head is not None:
        _add_head(graph, classifier.head)
        logits.append("head.logits")
    if classifier.reads_windows:
        _add_windows(graph)
        logits = ["windows.logits"]
    if classifier.ngrams is not None:
        _add_ngrams(graph, classifier.ngrams.head)
        logits.append("ngrams.logits")
    graph.node.append(helper.make_node("Sum", logits, ["logits"], "logits"))
    graph.node.append(helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=-1))
    classes = len(classifier.metadata.classes)
    for name in ("logits", "probabilities"):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", classes)))
    if classifier.head is not None:
        _add_activation_map(graph, classifier.head)
    helper.set_model_props(model, classifier.properties())
    content: bytes = model.SerializeToString()
    return content


def _empty() -> onnx.ModelProto:
    graph = helper.make_graph([], "classifier", [], [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _add_head(graph: onnx.GraphProto, head: Head) -> None:
    """Add the logits of a head on the features, or on their roots (see `classifier.roots_of`)."""
    _add_constants(graph, {"head.weight": head.weight, "head.bias": head.bias})
    read = FEATURES
    if head.reads_roots:
        _add_roots(graph, len(head.weight))
        read = ROOTS
    graph.node.append(helper.make_node("Gemm", [read, "head.weight", "head.bias"], ["head.logits"], "head"))


def _add_roots(graph: onnx.GraphProto, dimension: int) -> None:
    numbers = {"least sum": LEAST_SUM, "dimension": dimension, "smooth": SMOOTH, "least": math.sqrt(SMOOTH)}
    constants = {f"roots.{name}": np.array(value, np.float32) for name, value in numbers.items()}
    _add_constants(graph, {**constants, "roots.axis": np.array([1], np.int64)})
    steps = (
        ("Relu", [FEATURES], "roots.kept"),
        ("ReduceSum", ["roots.kept", "roots.axis"], "roots.sum"),
        ("Add", ["roots.sum", "roots.least sum"], "roots.divisor"),
        ("Div", ["roots.dimension", "roots.divisor"], "roots.scale"),
        ("Mul", ["roots.kept", "roots.scale"], "roots.shares"),
        ("Add", ["roots.shares", "roots.smooth"], "roots.smoothed"),
        ("Sqrt", ["roots.smoothed"], "roots.rooted"),
        ("Sub", ["roots.rooted", "roots.least"], ROOTS),
    )
    graph.node.extend(helper.make_node(kind, given, [name], name) for kind, given, name in steps)


def _add_windows(graph: onnx.GraphProto) -> None:
    """Add the logits of texts: those of the windows that a text has, weighed and summed, as the head is linear."""
    for given in graph.input:  # windows, of which there are as many as texts or more
        given.type.tensor_type.shape.dim[0].dim_param = "all windows"
    _add_weighed_rows(graph, "windows", "head.logits", (WINDOW_IDS, WINDOW_WEIGHTS), "windows.logits")


def _add_ngrams(graph: onnx.GraphProto, head: Head) -> None:
    """Add the logits of a head on n-grams: the rows of those that a text has, weighed and summed."""
    _add_constants(graph, {"ngrams.weight": head.weight, "ngrams.bias": head.bias})
    _add_weighed_rows(graph, "ngrams", "ngrams.weight", (NGRAM_IDS, NGRAM_WEIGHTS), "ngrams.sum")
    graph.node.append(helper.make_node("Add", ["ngrams.sum", "ngrams.bias"], ["ngrams.logits"], "ngrams"))


def _add_weighed_rows(
    graph: onnx.GraphProto, prefix: str, table: str, inputs: tuple[str, str], output: str
) -> None:
    """Add the inputs for numbers and weights of a table's rows, both texts × rows, and each text's weighed sum."""
    numbers, weights = inputs
    for name, kind in ((numbers, TensorProto.INT64), (weights, TensorProto.FLOAT)):
        graph.input.append(helper.make_tensor_value_info(name, kind, ("batch", f"{prefix} of a text")))
    axis, rows, row, sums = (f"{prefix}.{name}" for name in ("axis", "rows", "row", "sums"))
    _add_constants(graph, {axis: np.array([1], np.int64)})
    graph.node.extend(
        [
            helper.make_node("Gather", [table, numbers], [rows], rows),
            helper.make_node("Unsqueeze", [weights, axis], [row], row),
            helper.make_node("MatMul", [row, rows], [sums], sums),
            helper.make_node("Squeeze", [sums, axis], [output], output),
        ]
    )


def _add_constants(graph: onnx.GraphProto, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    for name, array in arrays.items():
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))


def _add_activation_map(graph: onnx.GraphProto, head: Head) -> None:
    """Lay the head's weights on the map that the features are the means of, where there is one."""
    found = pooled_map(graph)
    if found is None:
        return
    places, axes = found
    nodes = []
    if axes == CHANNELS_FIRST:
        nodes.append(helper.make_node("Transpose", [places], ["map.last"], "map.last", perm=[0, 2, 3, 1]))
        places = "map.last"
    if head.reads_roots:
        nodes += _shared_out(graph, places)
        places = "map.shares"
    nodes += [
        helper.make_node("MatMul", [places, "head.weight"], ["map.weighed"], "map.weighed"),
        helper.make_node("Add", ["map.weighed", "head.bias"], ["map.scores"], "map.scores"),
        helper.make_node("Transpose", ["map.scores"], [ACTIVATION_MAP], "map", perm=[0, 3, 1, 2]),
    ]
    graph.node.extend(nodes)
    shape = ("batch", len(head.bias), "map height", "map width")
    graph.output.append(helper.make_tensor_value_info(ACTIVATION_MAP, TensorProto.FLOAT, shape))


def _shared_out(graph: onnx.GraphProto, places: str) -> list[onnx.NodeProto]:
    """Return what makes `map.shares`, whose means over places are the roots, of places whose means the features are.

    A root is shared out among the places as the activation is. One without any is 0, and needs no share.
    """
    _add_constants(graph, {"map.least": np.array(LEAST_MEAN, np.float32)})
    _add_constants(graph, {"map.places": np.array(CHANNELS_LAST, np.int64)})
    steps = (
        ("ReduceMean", [places, "map.places"], "map.means"),
        ("Max", ["map.means", "map.least"], "map.divisors"),
        ("Unsqueeze", [ROOTS, "map.places"], "map.roots"),
        ("Div", ["map.roots", "map.divisors"], "map.gains"),
        ("Mul", [places, "map.gains"], "map.shares"),
    )
    return [helper.make_node(kind, given, [name], name) for kind, given, name in steps]


def pooled_map(graph: onnx.GraphProto) -> tuple[str, tuple[int, int]] | None:
    """Return which tensor the features are the means of, and over which of its axes; None when there is none."""
    makers = {output: node for node in graph.node for output in node.output}
    node = makers.get(FEATURES)
    while node is not None and node.op_type in LAYOUT:
        node = makers.get(node.input[0])
    if node is None:
        return None
    if node.op_type == "GlobalAveragePool":
        return node.input[0], CHANNELS_FIRST
    if node.op_type != "ReduceMean":
        return None
    axes = _axes(graph, makers, node)
    return (node.input[0], axes) if axes in (CHANNELS_FIRST, CHANNELS_LAST) else None


def _axes(
    graph: onnx.GraphProto, makers: Mapping[str, onnx.NodeProto], node: onnx.NodeProto
) -> tuple[int, ...] | None:
    """Return the axes of a reduction as they count from the first one; None when they are not constant."""
    for attribute in node.attribute:
        if attribute.name == "axes":
            return _from_first(attribute.ints)
    if len(node.input) < 2:
        return None
    name = node.input[1]
    while name in makers and makers[name].op_type in LAYOUT:
        name = makers[name].input[0]
    if name in makers and makers[name].op_type == "Constant":
        value = helper.get_attribute_value(makers[name].attribute[0])
        return _from_first(numpy_helper.to_array(value) if isinstance(value, TensorProto) else value)
    constants = (one for one in graph.initializer if one.name == name)
    return next((_from_first(numpy_helper.to_array(one)) for one in constants), None)


def _from_first(axes: Iterable[int]) -> tuple[int, ...]:
    dimensions = 4  # batch, channels and two of places
    return tuple(sorted(int(axis) % dimensions for axis in axes))
