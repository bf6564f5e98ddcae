"""Structs in Parquet: their fields are columns with a dot, as keys of JSON's objects are."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from models_registry.inputs import open_table
from training.engine.data import build_report, read_text_table

TEXTS = [f"text number {number}" for number in range(8)]


def write(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_fields_of_structs_are_columns(tmp_path: Path) -> None:
    data = [{"text": text, "more": {"label": "xy"[place % 2]}} for place, text in enumerate(TEXTS)]
    path = write(tmp_path / "data.parquet", {"id": list(range(8)), "data": data})
    assert open_table(path).columns() == ["id", "data.text", "data.more.label"]
    report = build_report(path, task_type="textclassification", columns={})
    assert report.columns == {"input": "data.text", "label": "data.more.label"}
    assert report.classes == {"x": 4, "y": 4}
    assert read_text_table(path, report.columns).texts == tuple(TEXTS)


def test_struct_that_is_missing_has_no_fields(tmp_path: Path) -> None:
    data = [
        {"text": "one", "label": "x"},
        None,
        {"text": "three", "label": None},
        {"text": "four", "label": "y"},
    ]
    path = write(tmp_path / "data.parquet", {"data": data})
    found = read_text_table(path, {"input": "data.text", "label": "data.label"})
    assert (found.texts, found.labels) == (("one", "four"), ("x", "y"))
    assert [reason for _, reason in found.unreadable] == ["no data.text", "no data.label"]


def test_classes_in_a_struct_have_the_names_of_the_metadata(tmp_path: Path) -> None:
    features = {"data": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    data = [{"text": "one", "label": 1}, {"text": "two", "label": 0}]
    path = write(tmp_path / "data.parquet", {"data": data}, metadata)
    assert read_text_table(path, {"input": "data.text", "label": "data.label"}).labels == ("yes", "no")


def test_column_with_a_dot_and_a_struct_of_a_file_stay_as_they_are(tmp_path: Path) -> None:
    photo = [{"bytes": b"\xff\xd8\xff", "path": "a.jpg"}] * 2
    path = write(
        tmp_path / "data.parquet", {"data.text": ["one", "two"], "label": ["x", "y"], "image": photo}
    )
    assert open_table(path).columns() == ["data.text", "label", "image"]
    assert read_text_table(path, {"input": "data.text", "label": "label"}).texts == ("one", "two")
