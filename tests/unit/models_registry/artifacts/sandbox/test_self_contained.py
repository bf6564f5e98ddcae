import os
from pathlib import Path

import onnx
import pytest
from onnx import helper

from models_registry.artifacts import InvalidModel
from models_registry.artifacts.sandbox.self_contained import MOST_PARTS, self_contained
from tests import hostile_models as hostile
from tests.tiny_models import colour_model, mood_model, undescribed_colour_model


@pytest.mark.parametrize("place", hostile.EXTERNAL_DATA)
def test_tensor_in_another_file_is_refused_wherever_it_is(place: str) -> None:
    with pytest.raises(InvalidModel, match="other files"):
        self_contained(hostile.EXTERNAL_DATA[place]("secret"))


def test_every_field_that_can_hold_a_tensor_is_walked() -> None:
    """For each path of fields from a model to a tensor, a model with nothing but that is refused."""
    paths = list(_paths_to_a_tensor(onnx.ModelProto.DESCRIPTOR))
    assert len(paths) > 10
    for path in paths:
        model = onnx.ModelProto()
        model.graph.name = "empty"
        part = model
        for name in path:
            value = getattr(part, name)
            if hasattr(value, "add"):
                part = value.add()
            else:
                value.SetInParent()
                part = value
        part.CopyFrom(hostile.external("secret"))
        with pytest.raises(InvalidModel, match="other files"):
            self_contained(model.SerializeToString())


def _paths_to_a_tensor(kind: object, seen: tuple[str, ...] = ()) -> list[list[str]]:
    found: list[list[str]] = []
    for field in kind.fields:  # type: ignore[attr-defined]
        inner = field.message_type
        if inner is None or inner.full_name in seen:
            continue
        if inner.full_name == "onnx.TensorProto":
            found.append([field.name])
        rest = _paths_to_a_tensor(inner, (*seen, kind.full_name))  # type: ignore[attr-defined]
        found += [[field.name, *path] for path in rest]
    return found


@pytest.mark.parametrize("content", [colour_model(), mood_model(), undescribed_colour_model()])
def test_model_of_its_own_comes_back_the_same(content: bytes) -> None:
    assert self_contained(content) == content


@pytest.mark.parametrize(
    ("domain", "operator"), [("com.microsoft", "EPContext"), ("custom", "Load"), ("ai.onnx.contrib", "PyOp")]
)
def test_operator_of_another_library_is_refused(domain: str, operator: str) -> None:
    with pytest.raises(InvalidModel, match=operator):
        self_contained(hostile.foreign_operator(domain, operator))


def test_function_that_the_file_defines_may_be_used() -> None:
    body = [helper.make_node("Neg", ["x"], ["y"])]
    function = helper.make_function("own", "Minus", ["x"], ["y"], body, hostile.OPSETS)
    content = hostile.image_model(
        [helper.make_node("Minus", ["pooled"], ["extra"], domain="own")],
        change=lambda model: model.functions.append(function),
        opsets=[*hostile.OPSETS, helper.make_opsetid("own", 1)],
    )
    assert self_contained(content) == content


def test_what_the_reader_does_not_know_is_left_out() -> None:
    content = hostile.disguised_as_runtime_format()
    assert b"ORTM" in content[:10]
    assert b"ORTM" not in self_contained(content)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00ORTM" + bytes(100), os.urandom(1000)])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidModel, match="no ONNX file"):
        self_contained(content)


def test_graphs_within_graphs_without_an_end_are_refused() -> None:
    graph = b""
    for _ in range(2000):  # NodeProto.attribute = 5 of AttributeProto.g = 6 of GraphProto.node = 1
        graph = _field(1, _field(5, _field(6, graph)))
    with pytest.raises(InvalidModel):
        self_contained(_field(7, graph))


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_too_many_parts_are_refused() -> None:
    node = _field(1, b"")
    with pytest.raises(InvalidModel, match="parts"):
        self_contained(_field(7, node * (MOST_PARTS + 1)))


def test_runtime_alone_would_read_the_file(tmp_path: Path) -> None:
    """Without the check, a file beside the process would have been read."""
    import onnxruntime

    (tmp_path / "secret").write_bytes(b"s" * 32)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        opened = onnxruntime.InferenceSession(hostile.EXTERNAL_DATA["branch_without_nodes"]("secret"))
    finally:
        os.chdir(before)
    assert opened.get_outputs()
