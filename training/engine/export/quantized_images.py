"""A convolutional network in eight bits: a quarter of the bytes, and on many processors twice as many images a second.

Weights have a scale for each channel; what flows between layers has one scale for a whole tensor, by the range that it
was seen to have (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018). The runtime finds the pairs of quantize and dequantize around a layer and runs it in integers.

Ranges belong to the tensors in front of convolutions, sums and the pool, in the order of the graph. A graph with other
layers than these is not quantized.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models_registry.artifacts.sessions import open_session

from .onnx_graph import with_outputs

Array = npt.NDArray[np.float32]
Range = tuple[float, float]  # the least and the greatest number of a tensor

READERS = {"Conv", "Add", "ReduceMean", "GlobalAveragePool"}  # what computes in eight bits
ACTIVATIONS = {"Clip", "Relu"}  # a range that ends where they cut does the same
MOST, LEAST_SCALE = 255, 1e-8
IMAGE_DIMENSIONS, WITHOUT_BIAS = 4, 2  # of weights, and of a convolution's inputs
CHANNEL_MOST, BIAS_MOST = 127, 1 << 30


class NotQuantizable(ValueError):
    """The graph has layers that this module does not know."""


def calibrate(network: bytes, batches: Iterable[Array], *, threads: int | None = None) -> list[Range]:
    """Return the ranges of a network's tensors over batches of its input, N × 3 × H × W.

    Raises `NotQuantizable`.
    """
    graph = _Graph(network)
    points = graph.points()
    del graph.proto.output[:]
    graph.proto.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in points)
    session = open_session(graph.model.SerializeToString(), threads=threads)
    found = np.array([[np.inf, -np.inf]] * len(points))
    for batch in batches:
        for place, values in enumerate(session.run(points, {"image": batch})):
            found[place] = min(found[place, 0], values.min()), max(found[place, 1], values.max())
    return [(float(low), float(high)) for low, high in found]


def quantize_images(network: bytes, ranges: Sequence[Range]) -> bytes:
    """Return the .onnx of a network, from `image` to `features`, in eight bits. Raises `NotQuantizable`."""
    from onnxscript import optimizer

    graph = _Graph(with_outputs(network, ["features"]))
    points = graph.points()
    if len(points) != len(ranges):
        raise NotQuantizable(f"There are {len(ranges)} ranges for {len(points)} tensors.")
    for name, (low, high) in zip(points, ranges, strict=True):
        graph.quantize_tensor(name, low, high)
    for node in [node for node in graph.proto.node if node.op_type == "Conv"]:
        graph.quantize_weights(node)
    graph.sort()
    optimizer.remove_unused_nodes(graph.model)
    content: bytes = graph.model.SerializeToString()
    try:
        open_session(content, threads=1)
    except Exception as error:  # the runtime's own exceptions have no common base
        raise NotQuantizable(f"The runtime does not take it ({error!r:.200}).") from error
    return content


class _Graph:
    """A graph whose batch norms and paddings are folded into its convolutions."""

    def __init__(self, network: bytes) -> None:
        self.model = onnx.load_from_string(network)
        self.proto = self.model.graph
        self.constants = {one.name: numpy_helper.to_array(one) for one in self.proto.initializer}
        for node in self.proto.node:
            if node.op_type == "Constant" and node.attribute[0].type == onnx.AttributeProto.TENSOR:
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type == "Constant" and node.attribute[0].type == onnx.AttributeProto.INTS:
                self.constants[node.output[0]] = np.array(node.attribute[0].ints, np.int64)
        self._fold_paddings()
        self._fold_norms()
        self.readers = list(self._readers())

    def points(self) -> list[str]:
        """Return the tensors that are to have eight bits, in the graph's order. Raises `NotQuantizable`."""
        if not self.readers:
            raise NotQuantizable("The network has no convolutions.")
        return list(dict.fromkeys(name for _, names in self.readers for name in names))

    def quantize_tensor(self, name: str, low: float, high: float) -> None:
        """Let a tensor pass through eight bits on its way to those that compute in them."""
        low, high = min(low, 0.0), max(high, 0.0)  # 0 stays 0: it is what images are padded with
        scale = max((high - low) / MOST, LEAST_SCALE)
        zero = np.uint8(np.clip(round(-low / scale), 0, MOST))
        constants = self._add(f"{name}.scale", np.float32(scale)), self._add(f"{name}.zero", zero)
        source = self._without_activation(name, low, high)
        for node, _ in self.readers:
            node.input[:] = [f"{name}.float" if one == name else one for one in node.input]
        self.proto.node.extend(
            [
                helper.make_node("QuantizeLinear", [source, *constants], [f"{name}.int8"]),
                helper.make_node("DequantizeLinear", [f"{name}.int8", *constants], [f"{name}.float"]),
            ]
        )

    def quantize_weights(self, node: onnx.NodeProto) -> None:
        """Keep a convolution's weights as bytes with a scale for each channel, and its bias in their product."""
        weights = self.constants.get(node.input[1], np.empty(0))
        if weights.ndim != IMAGE_DIMENSIONS:
            raise NotQuantizable("A convolution's weights are computed, or are not for images.")
        no_bias = np.zeros(len(weights), np.float32)
        bias = self.constants.get(node.input[2], no_bias) if len(node.input) > WITHOUT_BIAS else no_bias
        del node.input[WITHOUT_BIAS:]
        node.input.append("")
        before = self.constants[f"{node.input[0].removesuffix('.float')}.scale"]
        least = np.maximum(np.abs(bias) / (before * BIAS_MOST), LEAST_SCALE)  # of channels without weights
        scales = np.maximum(np.abs(weights).max((1, 2, 3)) / CHANNEL_MOST, least).astype(np.float32)
        products = scales * before
        rounded = {
            f"{node.output[0]}.weight": (
                np.rint(weights / scales[:, None, None, None]).astype(np.int8),
                scales,
            ),
            f"{node.output[0]}.bias": (
                np.rint(bias / products).astype(np.int32),
                products.astype(np.float32),
            ),
        }
        for place, (name, (values, scale)) in enumerate(rounded.items(), start=1):
            names = [self._add(f"{name}.int8", values), self._add(f"{name}.scale", scale)]
            self.proto.node.append(helper.make_node("DequantizeLinear", names, [name], axis=0))
            node.input[place] = name

    def sort(self) -> None:
        """Put the nodes into an order in which each comes after those that it reads, and drop what nobody reads."""
        used = {name for node in self.proto.node for name in node.input}
        kept = [one for one in self.proto.initializer if one.name in used]
        del self.proto.initializer[:]
        self.proto.initializer.extend(kept)
        makers = {output: node for node in self.proto.node for output in node.output}
        ordered: dict[int, onnx.NodeProto] = {}
        waiting = [makers[output.name] for output in reversed(self.proto.output)]
        while waiting:
            node = waiting[-1]
            missing = [
                makers[name] for name in node.input if name in makers and id(makers[name]) not in ordered
            ]
            if missing and id(node) not in ordered:
                waiting.extend(missing)
            else:
                ordered[id(waiting.pop())] = node
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered.values()]
        del self.proto.node[:]
        self.proto.node.extend(nodes)

    def _readers(self) -> Iterator[tuple[onnx.NodeProto, list[str]]]:
        """Yield the layers that compute in eight bits with what they read of the image: no sums with constants."""
        images = {"image"}
        for node in self.proto.node:
            data = [name for name in node.input if name in images]
            if data and node.op_type != "Shape":
                images.update(node.output)
            if data and node.op_type in READERS and (node.op_type != "Add" or len(data) > 1):
                yield node, data

    def _without_activation(self, name: str, low: float, high: float) -> str:
        """Return what a tensor is quantized from: what goes into its activation, where the range cuts it as well."""
        maker = next((node for node in self.proto.node if name in node.output), None)
        uses = Counter(one for node in self.proto.node for one in node.input)
        if maker is None or maker.op_type not in ACTIVATIONS or low < 0 or uses[name] > 1:
            return name
        before: str = maker.input[0]
        if maker.op_type == "Relu":
            return before
        limits = [self.constants.get(one) for one in maker.input[1:]]
        if len(limits) < 2 or limits[0] is None or limits[1] is None:
            return name
        return before if limits[0] == 0 and high <= limits[1] else name

    def _fold_paddings(self) -> None:
        """Let convolutions pad with zeros themselves."""
        makers = {output: node for node in self.proto.node for output in node.output}
        for node in self.proto.node:
            pad = makers.get(node.input[0]) if node.op_type == "Conv" else None
            if pad is None or pad.op_type != "Pad":
                continue
            edges = self.constants[pad.input[1]].reshape(2, 4)
            if edges[:, :2].any():
                raise NotQuantizable("Channels are padded.")
            attribute = next((one for one in node.attribute if one.name == "pads"), None)
            if attribute is None:
                attribute = helper.make_attribute("pads", [0] * 4)
                node.attribute.append(attribute)
                attribute = node.attribute[-1]
            attribute.ints[:] = [
                int(a + b) for a, b in zip(attribute.ints, edges[:, 2:].ravel(), strict=True)
            ]
            node.input[0] = pad.input[0]

    def _fold_norms(self) -> None:
        """Fold batch norms into the convolutions before them."""
        makers = {output: node for node in self.proto.node for output in node.output}
        norms = [node for node in self.proto.node if node.op_type == "BatchNormalization"]
        for norm in norms:
            conv = makers.get(norm.input[0])
            if conv is None or conv.op_type != "Conv":
                raise NotQuantizable("A batch norm does not follow a convolution.")
            gamma, beta, mean, variance = (self.constants[name] for name in norm.input[1:])
            epsilon = next((one.f for one in norm.attribute if one.name == "epsilon"), 1e-5)
            factor = gamma / np.sqrt(variance + epsilon)
            weights = self.constants[conv.input[1]]
            bias = self.constants[conv.input[2]] if len(conv.input) > WITHOUT_BIAS else np.float32(0)
            folded = weights * factor[:, None, None, None], (bias - mean) * factor + beta
            name = norm.output[0]
            del conv.input[1:]
            conv.input.extend(
                self._add(f"{name}.{kind}", values.astype(np.float32))
                for kind, values in zip(("folded", "shift"), folded, strict=True)
            )
            conv.output[0] = name
            self.proto.node.remove(norm)

    def _add(self, name: str, values: npt.NDArray[np.generic] | np.generic) -> str:
        array = np.asarray(values)
        self.constants[name] = array
        self.proto.initializer.append(numpy_helper.from_array(array, name))
        return name
