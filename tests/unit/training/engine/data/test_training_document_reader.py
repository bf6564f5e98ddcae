import base64
import csv
import io
import json
import unicodedata
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_registry.inputs import Row
from tests.unit.training.engine.data.test_images import picture
from training.engine.data import (
    DataError,
    ExternalDocument,
    Limits,
    iter_text_table,
    iter_training_document_dataset,
    take_apart,
    why_no_class_name,
)
from training.engine.data.texts import BLANK

KEYS = ("token", "epochs", "step_lr")
IN_TMP_PATH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CLASS_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: not why_no_class_name(name)
)


def read(document: Any, folder: Path, **limits: int) -> ExternalDocument:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return take_apart(io.BytesIO(content), folder, keys=KEYS, limits=Limits(**limits))


def images_in(path: Path) -> dict[str, list[bytes]]:
    found = defaultdict(list)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            found[name.rpartition("/")[0]].append(archive.read(name))
    return dict(found)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@IN_TMP_PATH
@given(
    classes=st.dictionaries(
        CLASS_NAMES, st.lists(st.binary(max_size=6000), min_size=1, max_size=4), max_size=4
    ),
    shuffled=st.randoms(use_true_random=False),
)
def test_images_survive_the_document_and_back(
    tmp_path: Path, classes: dict[str, list[bytes]], shuffled: Any
) -> None:
    entries = [(label, content) for label, contents in classes.items() for content in contents]
    shuffled.shuffle(entries)
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (label, content) in enumerate(entries):
            archive.writestr(f"{label}/{number}.jpg", content)
    pieces = iter_training_document_dataset(
        tmp_path / "data.zip", task_type="imageclassification", columns={}, unreadable=[]
    )
    if not entries:
        with pytest.raises(DataError, match="no files"):
            list(pieces)
        return
    document = read(b'{"dataset": ' + b"".join(pieces) + b"}", tmp_path)
    assert document.path is not None
    written = defaultdict(list)
    for label, content in entries:
        written[unicodedata.normalize("NFC", label)].append(content)
    assert images_in(document.path) == written


@IN_TMP_PATH
@given(
    rows=st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)] * 2
        ),
        max_size=20,
    )
)
def test_texts_survive_the_document_and_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("label", "words"), *((label, text) for text, label in rows)])
    columns = {"input": "words", "label": "label"}
    pieces = iter_training_document_dataset(path, task_type="textclassification", columns=columns)
    document = read(b'{"dataset": ' + b"".join(pieces) + b"}", tmp_path)
    assert document.path is not None
    found = [(row[1], row[2]) for row in iter_text_table(document.path, columns={}) if isinstance(row, Row)]
    bare = [(text.strip(BLANK), label.strip(BLANK)) for text, label in rows]
    assert found == [(text, label) for text, label in bare if text and label]


@pytest.mark.parametrize("order", [("token", "dataset", "epochs"), ("dataset", "epochs", "token")])
def test_keys_may_come_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    values = {"token": "t", "epochs": "3", "dataset": {"a": [encoded(b"x")], "b": []}}
    found = read({key: values[key] for key in order}, tmp_path)
    assert found.settings == {"token": "t", "epochs": "3"}
    assert found.path is not None
    assert images_in(found.path) == {"a": [b"x"]}


def test_keys_of_others_are_passed_over_whatever_they_hold(tmp_path: Path) -> None:
    more = {"theirs": [{"dataset": [1, {"token": "no"}]}], "long": "x" * 100_000, "none": None}
    found = read({**more, "token": "t", "dataset": "YQ==", "step_lr": {"gamma": 0.5}}, tmp_path)
    assert found.settings["token"] == "t"
    assert float(found.settings["step_lr"]["gamma"]) == 0.5


@pytest.mark.parametrize("writer", ["plain", "php", "dotnet", "mime", "browser"])
def test_base64_is_read_as_different_writers_escape_it(tmp_path: Path, writer: str) -> None:
    content = bytes(range(256)) * 3000
    text = {"mime": base64.encodebytes(content).decode()}.get(writer, encoded(content))
    if writer == "browser":
        text = f"data:image/png;base64,{text}"
    document = json.dumps({"dataset": {"a": [text]}})
    if writer == "php":
        document = document.replace("/", r"\/")
    if writer == "dotnet":
        document = document.replace("+", r"\u002B")
    found = read(document.encode(), tmp_path)
    assert found.path is not None
    assert images_in(found.path) == {"a": [content]}


def test_reference_is_given_as_it_stands(tmp_path: Path) -> None:
    reference = {"$ref": "training/x.csv", "sha256": "0", "bytes": 3, "columns": {"input": "text"}}
    found = read({"dataset": reference}, tmp_path)
    assert (found.path, found.reference) == (None, reference)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"a": ["***"]}, r"dataset\['a'\]\[0\] is no base64"),
        ({"a": [encoded(b"x"), "YQ="]}, r"dataset\['a'\]\[1\] is no base64"),
        ({"a": ["A" * 9001]}, r"dataset\['a'\]\[0\] is no base64 \(its length"),
        ({"a": [None]}, r"dataset\['a'\]\[0\] is no text"),
        ({"a": [["YQ=="]]}, r"dataset\['a'\]\[0\] is no text"),
        ({"a": "YQ=="}, "class 'a' of the data set holds no list"),
        ({"a": ["YQ=="], "b": "YQ=="}, "class 'b' of the data set holds no list"),
        ({"$ref": "x", "a": ["YQ=="]}, "holds no list"),
        ("***", "dataset is no base64"),
        ("A" * 100_001, "dataset is no base64"),
        (None, "dataset is neither"),
        ([], "dataset is neither"),
        (3, "dataset is neither"),
    ],
)
def test_bad_data_sets_name_the_place(tmp_path: Path, dataset: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read({"token": "t", "dataset": dataset}, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "..",
        ".",
        ".hidden",
        "a/b",
        "/etc/passwd",
        "..\\x",
        "a\0b",
        "__MACOSX",
        "Thumbs.db",
        "x" * 201,
    ],
)
def test_hostile_class_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="class"):
        read({"dataset": {"good": ["YQ=="], name: ["YQ=="]}}, tmp_path)


@pytest.mark.parametrize("name", ["<b>x", "$x$", "\u202eevil", "🌷", "Ärger und Öl", "a\nb", "%s", "-rf *"])
def test_odd_class_names_are_names(tmp_path: Path, name: str) -> None:
    found = read({"dataset": {name: ["YQ=="]}}, tmp_path)
    assert found.path is not None
    assert images_in(found.path) == {name: [b"a"]}


def test_class_names_that_differ_in_case_only_are_two_classes(tmp_path: Path) -> None:
    found = read({"dataset": {"Cat": ["YQ=="], "cat": ["Yg=="]}}, tmp_path)
    assert found.path is not None
    assert images_in(found.path) == {"Cat": [b"a"], "cat": [b"b"]}


@pytest.mark.parametrize(
    ("limits", "dataset", "message"),
    [
        ({"max_entries": 2}, {"a": ["YQ=="] * 3}, "more than 2 images"),
        ({"max_classes": 2}, {label: ["YQ=="] for label in "abc"}, "more than 2 classes"),
        (
            {"max_entry_bytes": 100},
            {"a": [encoded(bytes(200))]},
            r"dataset\['a'\]\[0\] has more than the 100",
        ),
        ({"max_bytes": 1000}, {"a": [encoded(bytes(600))] * 2}, "more than the 1,000 bytes"),
        ({"max_bytes": 1000}, encoded(bytes(1001)), "dataset has more than the 1,000 bytes"),
    ],
)
def test_limits_hold_while_reading(
    tmp_path: Path, limits: dict[str, int], dataset: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read({"dataset": dataset}, tmp_path, **limits)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "no JSON object"),
        (b'"x"', "no JSON object"),
        (b"{}", 'no "dataset"'),
        (b'{"dataset": "YQ==", "dataset": "YQ=="}', "'dataset' twice"),
        (b'{"dataset": {"a": ["YQ=="], "a": ["YQ=="]}}', "class 'a' twice"),
        (b'{"token": "a", "token": "b", "dataset": "YQ=="}', "'token' twice"),
        (b'{"token": ["a"], "dataset": "YQ=="}', "token holds a list"),
        (b'{"token": "' + b"x" * 9000 + b'", "dataset": "YQ=="}', "token holds a text that is too long"),
        (b'{"step_lr": {"gamma": [1]}, "dataset": "YQ=="}', r"step_lr\.gamma holds a list"),
        (b'{"dataset": {"a": ["YQ=="', "no JSON"),
        (b'{"dataset": {"a": ["YQ=="]}} trailing', "no JSON"),
        (b'{"dataset": {"a": [NaN]}}', "no JSON"),
    ],
)
def test_bad_documents_say_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content, tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), junk=st.binary(max_size=6), cut=st.booleans())
def test_damaged_documents_end_in_a_data_error_or_are_read(
    tmp_path: Path, at: int, junk: bytes, cut: bool
) -> None:
    document = {"token": "t", "dataset": {"a": [encoded(picture(1))] * 2, "b": [encoded(bytes(4000))]}}
    content = bytearray(json.dumps(document).encode())
    at %= len(content)
    content[at : len(content) if cut else at + len(junk)] = junk
    try:
        read(bytes(content), tmp_path)
    except DataError as error:
        assert str(error)
