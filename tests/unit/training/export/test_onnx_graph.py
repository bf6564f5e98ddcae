import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from models_registry.artifacts import METADATA_KEY, TOKENIZER_KEY, ModelMetadata
from training.export.onnx_graph import graft_head

METADATA = ModelMetadata("t", "n", "textclassification", "a", "frozen", ("x", "y", "z"), {}, "", "")


def backbone() -> bytes:
    """A network of nothing but a doubling."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["given", "given"], ["features"])],
        "double",
        [helper.make_tensor_value_info("given", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 2])],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_grafted_head_computes_what_numpy_does(batch: int) -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(2, 3)).astype(np.float32), np.float32([1, 2, 3])
    session = onnxruntime.InferenceSession(graft_head(backbone(), weight, bias, METADATA, None))
    given = generator.normal(size=(batch, 2)).astype(np.float32)
    logits, probabilities = session.run(["logits", "probabilities"], {"given": given})
    expected = 2 * given @ weight + bias
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    exponentials = np.exp(expected)
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(1, keepdims=True), atol=1e-5)


def test_file_describes_itself() -> None:
    zero = np.zeros((2, 3), np.float32)
    model = onnx.load_from_string(graft_head(backbone(), zero, zero[0], METADATA, "a tokenizer"))
    properties = {found.key: found.value for found in model.metadata_props}
    assert ModelMetadata.from_json(properties[METADATA_KEY]) == METADATA
    assert properties[TOKENIZER_KEY] == "a tokenizer"
    assert [output.name for output in model.graph.output] == ["logits", "probabilities"]
