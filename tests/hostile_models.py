"""Models that an attacker who may write the bucket would put there: they read, loop, grow and break libraries.

Each takes images of 3 × SIZE × SIZE as `input.1` and gives three scores, so that nothing but its fault is
wrong with it.
"""

import json
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models_registry.artifacts import METADATA_KEY, TOKENIZER_KEY
from tests.tiny_models import SIZE, colour_model, mood_model

COLOURS = 3
OPSETS = [helper.make_opsetid("", 17)]


def image_model(
    nodes: Sequence[onnx.NodeProto],
    *,
    initializers: Sequence[onnx.TensorProto] = (),
    change: Callable[[onnx.ModelProto], object] | None = None,
    opsets: Sequence[onnx.OperatorSetIdProto] = OPSETS,
) -> bytes:
    """An .onnx of nodes that make a number `extra` out of nothing, or of `pooled`; it is added to all scores."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["input.1"], ["channels"]),
            helper.make_node("Flatten", ["channels"], ["pooled"]),
            *nodes,
            helper.make_node("Add", ["pooled", "extra"], ["output"]),
        ],
        "hostile",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["N", COLOURS, SIZE, SIZE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", COLOURS])],
        list(initializers),
    )
    model = helper.make_model(graph, opset_imports=list(opsets), ir_version=8)
    if change is not None:
        change(model)
    return model.SerializeToString()


def external(location: str, name: str = "stolen", *, length: int = 32) -> onnx.TensorProto:
    """A tensor whose bytes lie in another file."""
    tensor = onnx.TensorProto(name=name, data_type=TensorProto.UINT8, dims=[length])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(length)}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _sparse(location: str) -> onnx.SparseTensorProto:
    sparse = onnx.SparseTensorProto(dims=[64])
    sparse.values.CopyFrom(external(location))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(32), "indices"))
    return sparse


def _summed(source: str) -> list[onnx.NodeProto]:
    """Nodes that make `extra` of stolen bytes."""
    return [
        helper.make_node("Cast", [source], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers"], ["extra"], keepdims=0),
    ]


def _branch(location: str) -> onnx.GraphProto:
    """A branch without nodes, that gives what it holds."""
    return helper.make_graph(
        [],
        "branch",
        [],
        [helper.make_tensor_value_info("stolen", TensorProto.UINT8, [32])],
        [external(location)],
    )


def _constant(**attributes: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["bytes"], **attributes)


def _in_branch(location: str) -> bytes:
    fork = helper.make_node(
        "If", ["yes"], ["bytes"], then_branch=_branch(location), else_branch=_branch(location)
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    return image_model([fork, *_summed("bytes")], initializers=[yes])


def _in_function(location: str) -> bytes:
    function = helper.make_function(
        "own", "Steal", [], ["bytes"], [_constant(value=external(location))], OPSETS
    )
    opsets = [*OPSETS, helper.make_opsetid("own", 1)]
    return image_model(
        [helper.make_node("Steal", [], ["bytes"], domain="own"), *_summed("bytes")],
        change=lambda model: model.functions.append(function),
        opsets=opsets,
    )


def _in_list_of_graphs(location: str) -> bytes:
    node = helper.make_node("Identity", ["pooled"], ["extra"])
    attribute = node.attribute.add(name="graphs", type=onnx.AttributeProto.GRAPHS)
    attribute.graphs.append(_branch(location))
    return image_model([node])


def _in_list_of_sparse_tensors(location: str) -> bytes:
    node = helper.make_node("Identity", ["pooled"], ["extra"])
    attribute = node.attribute.add(name="tensors", type=onnx.AttributeProto.SPARSE_TENSORS)
    attribute.sparse_tensors.append(_sparse(location))
    return image_model([node])


def _in_training(location: str) -> bytes:
    def add(model: onnx.ModelProto) -> None:
        model.training_info.add().initialization.CopyFrom(_branch(location))

    return image_model([helper.make_node("Identity", ["pooled"], ["extra"])], change=add)


def _without_saying_so(location: str) -> bytes:
    """Entries for another file in a tensor that says it has none."""
    tensor = external(location)
    tensor.data_location = TensorProto.DEFAULT
    tensor.raw_data = bytes(32)
    return image_model(_summed("stolen"), initializers=[tensor])


# Every place of an ONNX file where a tensor can be: what makes a model with stolen bytes there of a file's name.
EXTERNAL_DATA: dict[str, Callable[[str], bytes]] = {
    "initializer": lambda location: image_model(_summed("stolen"), initializers=[external(location)]),
    "sparse_initializer": lambda location: image_model(
        _summed("stolen"), change=lambda model: model.graph.sparse_initializer.append(_sparse(location))
    ),
    "attribute": lambda location: image_model([_constant(value=external(location)), *_summed("bytes")]),
    "sparse_attribute": lambda location: image_model(
        [_constant(sparse_value=_sparse(location)), *_summed("bytes")]
    ),
    "branch_without_nodes": _in_branch,
    "function": _in_function,
    "list_of_graphs": _in_list_of_graphs,
    "list_of_sparse_tensors": _in_list_of_sparse_tensors,
    "training_info": _in_training,
    "entries_alone": _without_saying_so,
}


# `bright`: whether the image is white, which no check's image is; models that wait for one pass the check.
IS_BRIGHT = [
    helper.make_node("ReduceMean", ["pooled"], ["mean"], keepdims=0),
    helper.make_node("Greater", ["mean", "one"], ["bright"]),
]
ONE = numpy_helper.from_array(np.float32(1), "one")


def endless_loop_when_bright() -> bytes:
    """A loop that never ends, for white images alone."""
    return endless_loop(condition="bright", before=IS_BRIGHT, initializers=[ONE])


def memory_hog_when_bright(numbers: int) -> bytes:
    """A model that makes so many float32 of nothing, for white images alone."""
    return image_model(
        [
            *IS_BRIGHT,
            helper.make_node("Cast", ["bright"], ["times"], to=TensorProto.INT64),
            helper.make_node("Mul", ["numbers", "times"], ["size"]),
            helper.make_node(
                "ConstantOfShape", ["size"], ["large"], value=numpy_helper.from_array(np.float32([1]))
            ),
            helper.make_node("ReduceSum", ["large"], ["extra"], keepdims=0),
        ],
        initializers=[numpy_helper.from_array(np.int64([numbers]), "numbers"), ONE],
    )


def endless_loop(
    *,
    with_nodes: bool = True,
    condition: str = "yes",
    before: Sequence[onnx.NodeProto] = (),
    initializers: Sequence[onnx.TensorProto] = (),
) -> bytes:
    """A loop that never ends, over the mean of the image: it cannot be worked out when the file is opened."""
    steps = [helper.make_node("Identity", ["again"], ["and_again"])] if with_nodes else []
    body = helper.make_graph(
        steps,
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("and_again" if steps else "again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["", condition, "pooled"], ["extra"], body=body)
    yes = numpy_helper.from_array(np.array(True), "yes")
    return image_model([*before, loop], initializers=[yes, *initializers])


def memory_hog(numbers: int, *, when_opened: bool = False) -> bytes:
    """A model that makes so many float32 of nothing; with `when_opened`, already when constants are folded."""
    how_many = numpy_helper.from_array(np.int64([numbers]), "numbers")
    if when_opened:
        size, nodes = "numbers", []
    else:  # of the image's shape, which is not known before
        nodes = [
            helper.make_node("Shape", ["input.1"], ["shape"], start=1, end=2),
            helper.make_node("Div", ["shape", "three"], ["one"]),
            helper.make_node("Mul", ["numbers", "one"], ["size"]),
        ]
        size = "size"
    value = numpy_helper.from_array(np.float32([1]), "value")
    return image_model(
        [
            *nodes,
            helper.make_node("ConstantOfShape", [size], ["large"], value=value),
            helper.make_node("ReduceMean", ["large"], ["extra"], keepdims=0),
        ],
        initializers=[how_many, numpy_helper.from_array(np.int64([COLOURS]), "three")],
    )


def foreign_operator(domain: str = "com.microsoft", operator: str = "EPContext") -> bytes:
    """A model with an operator of a library's own."""
    node = helper.make_node(operator, ["pooled"], ["extra"], domain=domain)
    return image_model([node], opsets=[*OPSETS, helper.make_opsetid(domain, 1)])


def not_numbers() -> bytes:
    """A model whose scores are no numbers."""
    return image_model(
        [helper.make_node("Log", ["minus"], ["extra"])],
        initializers=[numpy_helper.from_array(np.float32([-1]), "minus")],
    )


def other_rows() -> bytes:
    """A model that gives another number of scores than it says, so many that nobody waits for them."""
    how_many = numpy_helper.from_array(np.int64([1000, COLOURS]), "shape")
    return image_model([helper.make_node("Expand", ["pooled", "shape"], ["extra"])], initializers=[how_many])


def with_metadata(text: str) -> bytes:
    """The colour model with another description."""
    model = onnx.load_model_from_string(colour_model())
    helper.set_model_props(model, {METADATA_KEY: text})
    return model.SerializeToString()


def described_with(**changes: object) -> bytes:
    """The colour model with other fields in its description."""
    model = onnx.load_model_from_string(colour_model())
    [described] = [json.loads(entry.value) for entry in model.metadata_props]
    return with_metadata(json.dumps({**described, **changes}))


def panicking_tokenizer() -> bytes:
    """A model for texts whose tokenizer cuts them into pieces of no characters, which ends in a panic."""
    model = onnx.load_model_from_string(mood_model())
    properties = {entry.key: entry.value for entry in model.metadata_props}
    tokenizer = json.loads(properties[TOKENIZER_KEY])
    tokenizer["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    helper.set_model_props(model, {**properties, TOKENIZER_KEY: json.dumps(tokenizer)})
    return model.SerializeToString()


def disguised_as_runtime_format() -> bytes:
    """An ONNX file that begins as ONNX Runtime's own format does."""
    unknown_field = b"\xfa\x01" + bytes([8]) + b"\x00ORTM\x00\x00\x00"  # number 31, eight bytes
    return unknown_field + image_model([helper.make_node("Identity", ["pooled"], ["extra"])])
