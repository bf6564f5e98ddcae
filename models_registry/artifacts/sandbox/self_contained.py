"""Refuse ONNX files that need more than themselves: weights in other files, operators from other libraries.

What is run afterwards is not the file, but what was read of it, written anew: a part that this reader does
not know, and another one might, is left out.
"""

from collections.abc import Iterator
from typing import Any

from ..errors import InvalidModel

TENSOR = "onnx.TensorProto"
NODE = "onnx.NodeProto"
STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
MOST_PARTS = 3_000_000  # messages within the message; the largest networks have some ten thousand


def self_contained(content: bytes) -> bytes:
    """Return the model, written anew. Raises `InvalidModel` for one that needs other files or libraries."""
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:  # too deep a nesting is one as well
        raise InvalidModel("Its .onnx is no ONNX file.") from error
    del content
    model.DiscardUnknownFields()
    if not model.HasField("graph"):
        raise InvalidModel("Its .onnx is no ONNX file.")
    own = {(function.domain, function.name) for function in model.functions}
    for part in _parts(model):
        kind = part.DESCRIPTOR.full_name
        if kind == TENSOR and (part.data_location != onnx.TensorProto.DEFAULT or part.external_data):
            raise InvalidModel("Its .onnx keeps weights in other files, which is not allowed.")
        if kind == NODE and part.domain not in STANDARD_DOMAINS and (part.domain, part.op_type) not in own:
            raise InvalidModel(
                f"Its .onnx uses the operator {part.op_type[:60]!a} of {part.domain[:60]!a}; only those of "
                "ONNX itself are run. Export the model without it."
            )
    written: bytes = model.SerializeToString()
    return written


def _parts(model: Any) -> Iterator[Any]:
    """Yield a message and every message within it, wherever its descriptor allows one.

    Raises `InvalidModel` when there are too many.
    """
    waiting, seen = [model], 0
    while waiting:
        part = waiting.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is None:
                continue
            inner = value if field.is_repeated else [value]
            seen += len(inner)
            if seen > MOST_PARTS:
                raise InvalidModel(f"Its .onnx has more than {MOST_PARTS:,} parts.")
            waiting.extend(inner)
