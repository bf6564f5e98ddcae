"""The ONNX graph of a recurrent network, written out node by node.

The runtime's LSTM and GRU read both directions and leave padding out by themselves, which the exporter
would not find in the network's code; and a dozen nodes need no exporter of ten seconds.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]

# The order of the gates' blocks in ONNX, as places in torch's: input, output, forget, cell out of
# input, forget, cell, output; update, reset, new out of reset, update, new.
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
OPSET = 18


def recurrent_graph(kind: str, state: Mapping[str, Array], embedding: str, layers: int) -> bytes:
    """Return an .onnx from `input_ids` and `attention_mask` to `features`.

    `kind` is "lstm" or "gru"; `state` has the network's arrays, those of layer n under
    "stages.n.ahead.…" and "stages.n.back.…" as torch names them.
    """
    graph = _Graph()
    graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    graph.add(
        "ReduceSum", ["attention_mask", graph.constant("one", np.array([1], np.int64))], "long", keepdims=0
    )
    graph.add("Cast", ["long"], "lengths", to=TensorProto.INT32)
    graph.add("Gather", [graph.constant(embedding, state[embedding]), "input_ids"], "embedded")
    graph.add("Transpose", ["embedded"], "layer.0", perm=[1, 0, 2])  # length × batch × width
    for number in range(1, layers + 1):
        _add_layer(graph, kind, state, number)
    _add_pool(graph, f"layer.{layers}")
    return _serialized(graph, kind, width=4 * state["stages.1.ahead.weight_hh_l0"].shape[1])


def _serialized(graph: "_Graph", kind: str, *, width: int) -> bytes:
    integers, floats = TensorProto.INT64, TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info(name, integers, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    features = helper.make_tensor_value_info("features", floats, ["batch", width])
    model = helper.make_model(
        helper.make_graph(graph.nodes, kind, inputs, [features], graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    content: bytes = model.SerializeToString()
    return content


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))


def _add_layer(graph: _Graph, kind: str, state: Mapping[str, Array], number: int) -> None:
    def both(name: str) -> Array:
        parts = [state[f"stages.{number}.{direction}.{name}"] for direction in ("ahead", "back")]
        return np.stack([_reorder(kind, part) for part in parts])

    biases = np.concatenate([both("bias_ih_l0"), both("bias_hh_l0")], axis=1)
    inputs = [
        f"layer.{number - 1}",
        graph.constant(f"stages.{number}.input", both("weight_ih_l0")),
        graph.constant(f"stages.{number}.recurrent", both("weight_hh_l0")),
        graph.constant(f"stages.{number}.bias", biases),
        "lengths",
    ]
    width = state[f"stages.{number}.ahead.weight_hh_l0"].shape[1]
    # torch multiplies before it resets, as cuDNN does; ONNX calls that linear_before_reset.
    more = {"linear_before_reset": 1} if kind == "gru" else {}
    graph.add(kind.upper(), inputs, f"both.{number}", hidden_size=width, direction="bidirectional", **more)
    graph.add("Transpose", [f"both.{number}"], f"turned.{number}", perm=[0, 2, 1, 3])
    shape = graph.constant(f"shape.{number}", np.array([0, 0, 2 * width], np.int64))
    graph.add("Reshape", [f"turned.{number}", shape], f"layer.{number}")


def _add_pool(graph: _Graph, hidden: str) -> None:
    """Add the mean and the largest value over the tokens."""
    graph.add("Transpose", [hidden], "hidden", perm=[1, 0, 2])
    graph.add("Unsqueeze", ["mask", graph.constant("last", np.array([2], np.int64))], "weights")
    graph.add("Mul", ["hidden", "weights"], "masked")
    graph.add("ReduceSum", ["masked", "one"], "sum", keepdims=0)
    graph.add("ReduceSum", ["mask", "one"], "tokens", keepdims=1)
    graph.add("Max", ["tokens", graph.constant("at least", np.array([1], np.float32))], "count")
    graph.add("Div", ["sum", "count"], "mean")
    graph.add("Sub", ["at least", "weights"], "padding")
    graph.add("Mul", ["padding", graph.constant("two", np.array([2], np.float32))], "penalty")
    graph.add("Sub", ["hidden", "penalty"], "tokens only")
    graph.add("ReduceMax", ["tokens only", "one"], "largest", keepdims=0)
    graph.add("Concat", ["mean", "largest"], "features", axis=1)


def _reorder(kind: str, array: Array) -> Array:
    blocks = np.split(array, len(GATES[kind]))
    return np.concatenate([blocks[place] for place in GATES[kind]])
