import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from devtools.eight_bits import block
from models_registry.artifacts.sessions import open_session
from training.engine.export.quantized_images import (
    NotQuantizable,
    calibrate,
    quantize_images,
)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 3, 16, 16)).astype(np.float32)


def network(*, dead_channel: bool = False, last: str = "GlobalAveragePool") -> bytes:
    """Return an inverted residual as exporters write it: paddings, convolutions, batch norms, activations, a sum."""
    generator = np.random.default_rng(0)
    arrays = {
        "stem": generator.normal(size=(8, 3, 3, 3)) / 5,
        "wide": generator.normal(size=(24, 8, 1, 1)) / 3,
        "deep": generator.normal(size=(24, 1, 3, 3)) / 3,
        "thin": generator.normal(size=(8, 24, 1, 1)) / 5,
    }
    if dead_channel:
        arrays["wide"][0] = 0
    constants = {name: values.astype(np.float32) for name, values in arrays.items()}
    constants |= {"edges": np.array([0, 0, 0, 0, 0, 0, 1, 1]), "nothing": np.float32(0)}
    constants |= {
        "least": np.float32(0),
        "most": np.float32(6),
        "scale": np.full((1, 3, 1, 1), 0.5, np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["image", "scale"], ["scaled"]),
        helper.make_node("Pad", ["scaled", "edges", "nothing"], ["padded"]),
    ]
    value, layers = "padded", [("stem", 2, 0), ("wide", 1, 0), ("deep", 1, 1), ("thin", 1, 0)]
    for name, stride, pad in layers:
        channels = len(constants[name])
        group = channels if name == "deep" else 1
        nodes.append(
            helper.make_node(
                "Conv", [value, name], [f"{name}.sum"], strides=[stride] * 2, pads=[pad] * 4, group=group
            )
        )
        norm = {"gamma": 1.0, "beta": 0.4, "mean": 0.1, "variance": 0.9}
        names = [f"{name}.{key}" for key in norm]
        constants |= {
            one: np.full(channels, number, np.float32)
            for one, number in zip(names, norm.values(), strict=True)
        }
        nodes.append(helper.make_node("BatchNormalization", [f"{name}.sum", *names], [f"{name}.norm"]))
        value = f"{name}.norm"
        if name != "thin":
            nodes.append(helper.make_node("Clip", [value, "least", "most"], [f"{name}.out"]))
            value = f"{name}.out"
    nodes.append(helper.make_node("Add", [value, "stem.out"], ["added"]))
    nodes.append(helper.make_node(last, ["added"], ["features"]))
    given, found = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", ("batch", 3, 16, 16)), ("features", ("batch", None, None, None)))
    )
    tensors = [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()]
    graph = helper.make_graph(nodes, "network", [given], [found], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def features(content: bytes, batch: np.ndarray) -> np.ndarray:
    found: np.ndarray = open_session(content, threads=1).run(["features"], {"image": batch})[0]
    return found.reshape(len(batch), -1)


@pytest.mark.parametrize("dead_channel", [False, True], ids=["all channels", "a channel without weights"])
def test_network_of_eight_bits_answers_nearly_alike(dead_channel: bool) -> None:
    full = network(dead_channel=dead_channel)
    ranges = calibrate(full, [images(32)])
    smaller = quantize_images(full, ranges)
    onnx.checker.check_model(onnx.load_from_string(smaller))
    expected, found = features(full, images(8)), features(smaller, images(8))
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
    kinds = [node.op_type for node in onnx.load_from_string(smaller).graph.node]
    assert {"BatchNormalization", "Pad"}.isdisjoint(kinds)
    assert kinds.count("QuantizeLinear") == len(ranges)


def test_ranges_are_of_what_layers_read() -> None:
    ranges = calibrate(network(), [images(4), images(5)])
    assert (
        len(ranges) == 6
    )  # four convolutions, the sum's two inputs of which one is read before, and the pool
    low, high = ranges[0]
    both = np.concatenate([images(4), images(5)]) / 2
    assert (low, high) == pytest.approx((both.min(), both.max()))
    assert all(low == 0 and high <= 6 for low, high in ranges[1:4])


def test_ranges_of_another_network_are_refused() -> None:
    with pytest.raises(NotQuantizable, match="5 ranges for 6 tensors"):
        quantize_images(network(), [(0.0, 1.0)] * 5)


def test_probe_of_the_machine_has_the_same_answer_in_both_forms() -> None:
    full = block()
    size = onnx.load_from_string(full).graph.initializer[0].dims[1]
    smaller = quantize_images(full, [(0.0, 1.0), (0.0, 6.0), (0.0, 6.0), (0.0, 6.0)])
    ones = np.ones((1, size, 8, 8), np.float32)
    assert features(smaller, ones) == pytest.approx(features(full, ones), rel=0.02)
