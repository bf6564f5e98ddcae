import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from training.engine.export.constant_folding import fold_constants
from training.engine.export.onnx_graph import pour_weights

OPSET = [helper.make_opsetid("", 18)]


def exported() -> onnx.ModelProto:
    """A convolution whose bias is written as exporters write none, and a split whose size is a lone number."""
    nodes = [
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
        helper.make_node("CastLike", ["zero", "image"], ["cast"]),
        helper.make_node("Shape", ["weight"], ["channels"], start=0, end=1),
        helper.make_node("Expand", ["cast", "channels"], ["bias"]),
        helper.make_node("Conv", ["image", "weight", "bias"], ["mapped"]),
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.array(2, np.int64))),
        helper.make_node("SplitToSequence", ["mapped", "two"], ["parts"], axis=1),
        helper.make_node("Constant", [], ["second"], value_int=1),
        helper.make_node("SequenceAt", ["parts", "second"], ["out"]),
    ]
    weight = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "exported",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 5, 5])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 2, 5, 5])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=OPSET, ir_version=9)


def run(content: bytes, image: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(content).run(None, {"image": image})[0]


def test_folded_graph_gives_the_same_with_plain_layers() -> None:
    model, image = exported(), np.random.default_rng(1).normal(size=(2, 3, 5, 5)).astype(np.float32)
    expected = run(model.SerializeToString(), image)
    fold_constants(model)
    left = [node.op_type for node in model.graph.node if node.op_type != "Constant"]
    assert left == ["Conv", "SplitToSequence", "SequenceAt"]
    np.testing.assert_allclose(run(model.SerializeToString(), image), expected, atol=1e-5)


def test_weights_can_still_be_poured_in() -> None:
    """Only what cannot change is folded: a weight's shape, never its numbers."""
    model, image = exported(), np.ones((1, 3, 5, 5), np.float32)
    fold_constants(model)
    poured = pour_weights(model.SerializeToString(), {"weight": np.full((4, 3, 1, 1), 7, np.float32)})
    np.testing.assert_allclose(run(poured, image), 21)
