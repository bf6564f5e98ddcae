import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from models_registry.artifacts import ACTIVATION_MAP, METADATA_KEY, TOKENIZER_KEY, ModelMetadata
from models_registry.artifacts.metadata import NGRAMS_KEY
from models_registry.artifacts.ngrams import NgramVocabulary, pad_ngrams
from training.engine.export.classifier import ExportedClassifier, Head, NgramHead
from training.engine.export.onnx_graph import export_onnx

METADATA = ModelMetadata("t", "n", "textclassification", "a", "frozen", ("x", "y", "z"), {}, "", "")


def classifier(weight: np.ndarray, bias: np.ndarray, **more: object) -> ExportedClassifier:
    values = {"head": Head(weight, bias), "ngrams": None, "metadata": METADATA, "tokenizer": None}
    return ExportedClassifier(**{**values, **more})  # type: ignore[arg-type]


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
    session = onnxruntime.InferenceSession(export_onnx(backbone(), classifier(weight, bias)))
    given = generator.normal(size=(batch, 2)).astype(np.float32)
    logits, probabilities = session.run(["logits", "probabilities"], {"given": given})
    expected = 2 * given @ weight + bias
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    exponentials = np.exp(expected)
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(1, keepdims=True), atol=1e-5)


def test_file_describes_itself() -> None:
    zero = np.zeros((2, 3), np.float32)
    model = onnx.load_from_string(export_onnx(backbone(), classifier(zero, zero[0], tokenizer="a tokenizer")))
    properties = {found.key: found.value for found in model.metadata_props}
    assert ModelMetadata.from_json(properties[METADATA_KEY]) == METADATA
    assert properties[TOKENIZER_KEY] == "a tokenizer"
    assert [output.name for output in model.graph.output] == ["logits", "probabilities"]


TEXTS = ["one two", "two three", "three one"]


def ngram_head() -> NgramHead:
    vocabulary = NgramVocabulary.learn(TEXTS, most=100)
    generator = np.random.default_rng(1)
    weight = generator.normal(size=(len(vocabulary), 3)).astype(np.float32)
    return NgramHead(vocabulary, Head(weight, np.float32([3, 2, 1])))


@pytest.mark.parametrize("has_network", [True, False])
def test_ngrams_add_the_rows_of_those_that_a_text_has(has_network: bool) -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(2, 3)).astype(np.float32), np.float32([1, 2, 3])
    ngrams = ngram_head()
    head = Head(weight, bias) if has_network else None
    content = export_onnx(
        backbone() if has_network else None, classifier(weight, bias, head=head, ngrams=ngrams)
    )
    encoded = ngrams.vocabulary.encode(["one two two", "nothing known: 7"])
    ids, weights = pad_ngrams(encoded)
    feeds = {"ngram_ids": ids, "ngram_weights": weights}
    expected = np.stack([one.weights @ ngrams.head.weight[one.ids] + ngrams.head.bias for one in encoded])
    if has_network:
        feeds["given"] = generator.normal(size=(2, 2)).astype(np.float32)
        expected += 2 * feeds["given"] @ weight + bias
    session = onnxruntime.InferenceSession(content)
    np.testing.assert_allclose(session.run(["logits"], feeds)[0], expected, atol=1e-5)
    properties = session.get_modelmeta().custom_metadata_map
    again = NgramVocabulary.from_json(properties[NGRAMS_KEY])
    np.testing.assert_array_equal(again.hashes, ngrams.vocabulary.hashes)


def test_classifier_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a head"):
        ExportedClassifier(None, None, METADATA, None)


def pooling(*nodes: onnx.NodeProto, shape: tuple[int | str, ...] = ("batch", 5, 4, 3)) -> bytes:
    """A network of these nodes behind an input named `places`."""
    graph = helper.make_graph(
        list(nodes),
        "pooling",
        [helper.make_tensor_value_info("places", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(np.array([-2, -1], np.int64), "last two")],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()


MEAN = helper.make_node("ReduceMean", ["places", "last two"], ["features"], keepdims=0)
AXES = helper.make_node("Constant", [], ["axes"], value_ints=[1, 2])
LAST = helper.make_node("ReduceMean", ["places", "axes"], ["features"], keepdims=0)
POOL = helper.make_node("GlobalAveragePool", ["places"], ["pooled"])
FLAT = helper.make_node("Flatten", ["pooled"], ["features"])


POOLED = pytest.mark.parametrize(
    ("network", "shape"),
    [
        (pooling(MEAN), (2, 5, 4, 3)),
        (pooling(POOL, FLAT), (2, 5, 4, 3)),
        (pooling(AXES, LAST, shape=("batch", 4, 3, 5)), (2, 4, 3, 5)),
    ],
    ids=["mean", "pool", "channels last"],
)


@POOLED
def test_activation_map_averages_to_the_logits(network: bytes, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(5, 3)).astype(np.float32), np.float32([1, 2, 3])
    session = onnxruntime.InferenceSession(export_onnx(network, classifier(weight, bias)))
    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities", ACTIVATION_MAP]
    places = generator.normal(size=shape).astype(np.float32)
    logits, found = session.run(["logits", ACTIVATION_MAP], {"places": places})
    assert found.shape == (2, 3, 4, 3)
    np.testing.assert_allclose(found.mean((2, 3)), logits, atol=1e-5)
    last = places if shape[-1] == 5 else places.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found[1, 2], last[1] @ weight[:, 2] + bias[2], atol=1e-5)


@POOLED
def test_map_of_a_head_on_roots_shares_each_of_them_out_among_places(
    network: bytes, shape: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(0)
    head = Head(generator.normal(size=(5, 3)).astype(np.float32), np.float32([1, 2, 3]), reads_roots=True)
    content = export_onnx(network, classifier(head.weight, head.bias, head=head))
    session = onnxruntime.InferenceSession(content)
    places = generator.random(shape).astype(np.float32)
    last = places if shape[-1] == 5 else places.transpose(0, 2, 3, 1)
    last[..., 4] = 0  # a channel that is nowhere active
    last[0, 1:, :, 0] = 0  # one that is active in the first row alone
    outputs = ["logits", "probabilities", ACTIVATION_MAP]
    logits, probabilities, found = session.run(outputs, {"places": places})
    means = last.mean((1, 2))
    roots = np.sqrt(5 * means / means.sum(1, keepdims=True) + 0.01) - 0.1
    np.testing.assert_allclose(logits, roots @ head.weight + head.bias, atol=1e-5)
    np.testing.assert_allclose(probabilities, head.probabilities(means), atol=1e-5)
    np.testing.assert_allclose(found.mean((2, 3)), logits, atol=1e-5)
    shares = last[..., :4] / means[:, None, None, :4] * roots[:, None, None, :4]
    expected = shares @ head.weight[:4] + head.bias
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-4)


def test_map_of_an_image_that_shows_nothing_is_the_bias() -> None:
    head = Head(np.ones((5, 3), np.float32), np.float32([1, 2, 3]), reads_roots=True)
    content = export_onnx(pooling(MEAN), classifier(head.weight, head.bias, head=head))
    session = onnxruntime.InferenceSession(content)
    logits, found = session.run(["logits", ACTIVATION_MAP], {"places": np.zeros((1, 5, 4, 3), np.float32)})
    np.testing.assert_allclose(logits, [[1, 2, 3]], atol=1e-6)
    np.testing.assert_allclose(found, np.broadcast_to(head.bias[:, None, None], (1, 3, 4, 3)), atol=1e-6)


@pytest.mark.parametrize(
    "nodes",
    [
        (helper.make_node("GlobalMaxPool", ["places"], ["pooled"]), FLAT),
        (
            POOL,
            helper.make_node("Relu", ["pooled"], ["bent"]),
            helper.make_node("Flatten", ["bent"], ["features"]),
        ),
    ],
    ids=["largest", "bent after the mean"],
)
def test_features_that_are_no_means_have_no_activation_map(nodes: tuple[onnx.NodeProto, ...]) -> None:
    content = export_onnx(pooling(*nodes), classifier(np.zeros((5, 3), np.float32), np.zeros(3, np.float32)))
    names = [output.name for output in onnx.load_from_string(content).graph.output]
    assert names == ["logits", "probabilities"]
