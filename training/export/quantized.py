"""A smaller .onnx of a text model: its matrices and word vectors in eight bits, a quarter of the bytes.

Eight bits change probabilities by some hundredths, which is more than the two full files may differ by.
So it is an extra to download, held to a bound of its own, and never what the platform serves.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .parity import Answers, Parity, compare

TOLERANCE = 0.1  # of a probability; labels whose first two classes are closer may change places
OPERATORS = ("MatMul", "LSTM")
LARGE = 100_000  # numbers in a table that is worth it


def quantize(network: bytes) -> bytes:
    """Return the .onnx of a network with its matrices and tables in eight bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxscript import optimizer

    model = onnx.load_from_string(network)
    optimizer.fold_constants(model)  # matrices as the operators take them, not turned while they run
    optimizer.remove_unused_nodes(model)
    _quantize_tables(model.graph)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends what image models need
    try:
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            smaller = Path(folder) / "smaller.onnx"
            quantize_dynamic(
                model,
                str(smaller),
                op_types_to_quantize=list(OPERATORS),
                weight_type=QuantType.QInt8,
                per_channel=True,
                extra_options={"DefaultTensorType": 1},  # float, where a graph does not say
            )
            return smaller.read_bytes()
    finally:
        root.setLevel(level)


def _quantize_tables(graph: onnx.GraphProto) -> None:
    """Keep tables of vectors as bytes and one scale for each vector; quantize_dynamic leaves them as they are."""
    tables = {one.name: one for one in graph.initializer if len(one.dims) == 2 and np.prod(one.dims) > LARGE}
    for place, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Gather" or node.input[0] not in tables:
            continue
        table = tables.pop(node.input[0])
        values = numpy_helper.to_array(table)
        scales = np.maximum(np.abs(values).max(1, keepdims=True) / 127, np.float32(1e-12))
        rounded = numpy_helper.from_array(np.rint(values / scales).astype(np.int8), f"{table.name}.int8")
        graph.initializer.remove(table)
        graph.initializer.extend([rounded, numpy_helper.from_array(scales, f"{table.name}.scale")])
        places, found = node.input[1], node.output[0]
        del graph.node[place]
        for number, one in enumerate(
            (
                helper.make_node("Gather", [rounded.name, places], [f"{found}.int8"]),
                helper.make_node("Gather", [f"{table.name}.scale", places], [f"{found}.scale"]),
                helper.make_node("Cast", [f"{found}.int8"], [f"{found}.float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{found}.float", f"{found}.scale"], [found]),
            )
        ):
            graph.node.insert(place + number, one)


def compare_quantized(full: Answers, smaller: Answers) -> Parity:
    """Compare probabilities of the full and of the smaller file, both N × classes, by the wider bound."""
    return compare(full, smaller, tolerance=TOLERANCE)
