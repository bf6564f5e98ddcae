import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.engine.export.quantized import compare_quantized, quantize

WORDS, WIDTH = 700, 256


@pytest.mark.parametrize("second", ["table", "other"], ids=["shared table", "two tables"])
def test_smaller_network_answers_nearly_alike(second: str) -> None:
    """Two tables and a product; a table that two nodes share is left as it is."""
    generator = np.random.default_rng(0)
    shapes = {"table": (WORDS, WIDTH), "matrix": (WIDTH, WIDTH), "other": (WORDS, WIDTH)}
    weights = {name: generator.normal(size=shape).astype(np.float32) / 16 for name, shape in shapes.items()}
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["words"]),
            helper.make_node("MatMul", ["words", "matrix"], ["inner"]),
            helper.make_node("Gather", [second, "ids"], ["again"]),
            helper.make_node("Add", ["inner", "again"], ["features"]),
        ],
        "network",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(weights[name], name) for name in {"table", "matrix", second}],
    )
    full = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    smaller = quantize(full)
    ids = {"ids": np.arange(WORDS)}
    expected, found = (onnxruntime.InferenceSession(one).run(None, ids)[0] for one in (full, smaller))
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
    assert len(smaller) < len(full) * (0.3 if second == "other" else 0.9)


def test_bound_is_wider_than_that_of_the_full_files() -> None:
    full = np.array([[0.7, 0.3], [0.52, 0.48]], np.float32)
    assert compare_quantized(full, full + np.array([0.05, -0.05], np.float32)).holds
    assert compare_quantized(
        full, np.array([[0.7, 0.3], [0.48, 0.52]], np.float32)
    ).holds  # too close to call
    assert not compare_quantized(full, np.array([[0.4, 0.6], [0.52, 0.48]], np.float32)).holds
    assert not compare_quantized(full, full + np.array([0.2, -0.2], np.float32)).holds
