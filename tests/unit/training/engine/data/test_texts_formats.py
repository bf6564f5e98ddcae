import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_registry.inputs import open_table, resolve_columns
from tests.sheets import xlsx
from training.engine.data import DataError, Limits, build_report, read_text_table

ROWS = [("hello", "x"), ("grüße, alle", "y"), ('say "hi"', "x"), ("two\nlines", "y")]
NAMES = ("input", "label")


FORMATS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".gz", ".zip")


def write(path: Path, rows: list[tuple[Any, Any]], names: tuple[str, str] = NAMES) -> Path:
    """Write a table in the format of the path's suffix."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(write(path.with_suffix(".csv"), rows, names).read_bytes()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(write(path.with_suffix(".csv"), rows, names), "train.csv")
    elif path.suffix == ".xlsx":
        path.write_bytes(xlsx([names, *rows]))
    elif path.suffix == ".json":
        path.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1))
    elif path.suffix in (".csv", ".tsv", ".txt"):
        separator = "," if path.suffix == ".csv" else "\t"
        quoted = [
            [f'"{str(field).replace(chr(34), chr(34) * 2)}"' for field in row] for row in [names, *rows]
        ]
        path.write_text("\n".join(separator.join(row) for row in quoted), newline="")
    elif path.suffix == ".parquet":
        columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    found = read_text_table(write(tmp_path / f"data{suffix}", ROWS))
    assert list(zip(found.texts, found.labels, strict=True)) == ROWS


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_reported_on_by_its_usual_column_names(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"data{suffix}", [*ROWS, ("a", "x"), ("b", "y")], ("Sentence", "category"))
    report = build_report(path, task_type="textclassification", columns={})
    assert report.columns == {"input": "Sentence", "label": "category"}
    assert report.classes == {"x": 3, "y": 3}
    assert report.problems == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_refuses_too_many_rows_and_leaves_out_too_long_fields(
    tmp_path: Path, suffix: str
) -> None:
    path = write(tmp_path / f"data{suffix}", [("hello", "x")] * 30)
    with pytest.raises(DataError, match=r"10 rows|limit is 10"):
        read_text_table(path, limits=Limits(max_rows=10))
    path = write(tmp_path / f"data{suffix}", [("x" * 500, "x"), ("y", "y")])
    found = read_text_table(path, limits=Limits(max_field_chars=100))
    assert found.texts == ("y",)
    assert [reason for _, reason in found.unreadable] == [
        "has 500 characters in a field; a field may have 100 characters"
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_missing_values_are_listed_and_numbers_are_labels(tmp_path: Path, suffix: str) -> None:
    found = read_text_table(write(tmp_path / f"data{suffix}", [(None, 1), ("a", None), ("b", 7)]))
    assert found.labels == ("7",) or found.labels == ("7.0",)
    assert found.unreadable == (("row 1", "no input"), ("row 2", "no label"))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_truth_values_are_labels(tmp_path: Path, suffix: str) -> None:
    found = read_text_table(write(tmp_path / f"data{suffix}", [("a", True), ("b", False)]))
    assert found.labels == ("true", "false")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_honoured(tmp_path: Path, suffix: str, encoding: str) -> None:
    path = write(tmp_path / f"data{suffix}", ROWS)
    path.write_bytes(path.read_bytes().decode().encode(encoding))
    assert read_text_table(path).texts == tuple(text for text, _ in ROWS)


@pytest.mark.parametrize(
    ("names", "wanted", "columns"),
    [
        (["label", "input"], {}, ("input", "label")),
        (["Text", "CLASS"], {}, ("Text", "CLASS")),
        (["id", "sentence", "target"], {"input": "input", "label": "label"}, ("sentence", "target")),
        (["text", "content", "label"], {"input": "content"}, ("content", "label")),
        (["input", "text", "label"], {}, ("input", "label")),
    ],
)
def test_columns_are_recognised(names: list[str], wanted: dict[str, str], columns: tuple[str, str]) -> None:
    found = resolve_columns(names, wanted)
    assert (found.text, found.label) == columns


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (["text", "content", "label"], {}, "Several columns could be the input: 'text', 'content'"),
        (["text", "label"], {"input": "words"}, "no column 'words'"),
        (["words", "label"], {}, "no column 'input'. The table has: 'words', 'label'"),
        (["text", "label"], {"input": "text", "label": "text"}, "cannot both"),
    ],
)
def test_columns_that_are_not_clear_are_asked_for(
    names: list[str], wanted: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        resolve_columns(names, wanted)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'not json\n{"input": "a", "label": "x"}\n', "Row 1 is no JSON"),
        (b"1\n", "Row 1 is no JSON object"),
        (b'{"input": "a"}\n', "no column 'label'"),
        (b"[" * 100_000 + b"\n", "Row 1 is nested too deeply"),
        (b'{"input": "' + b"x" * 1_100_000 + b'"}\n', "1,000,000 characters"),
        (b'{"input": ' + b"9" * 10_000 + b', "label": "x"}\n', "Row 1 is no JSON"),
    ],
)
def test_bad_json_lines_name_the_row(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text_table(path)


def test_lines_below_others_that_are_no_json_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = [
        '{"input": "a", "label": "x"},',
        "not json",
        "[1, 2]",
        '{"input": "b", "label": NaN}',
        '{"input": "c',
    ]
    path.write_text("\n".join(lines))
    read = read_text_table(path)
    assert (read.texts, read.labels) == (("a",), ("x",))
    reasons = dict(read.unreadable)
    assert {row: reason[:10] for row, reason in reasons.items()} == {
        "row 2": "is no JSON",
        "row 3": "no input",
        "row 4": "no label",
        "row 5": "is no JSON",
    }


def test_what_no_database_can_keep_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(r'{"input": "a\u0000", "label": "x"}' + "\n" + r'{"input": "\ud800", "label": "x"}')
    assert [reason for _, reason in read_text_table(path).unreadable] == [
        "holds NUL characters",
        "holds half a character",
    ]


def test_parquet_columns_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", [([{"a": 1}, {"a": 2}], "x"), ([{"a": 3}], "y")])
    with pytest.raises(DataError, match="should hold texts"):
        read_text_table(path)


def test_parquet_dictionary_that_stands_for_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    bomb = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 1_000_000, pyarrow.int32()), pyarrow.array(["x" * 10_000_000])
    )
    labels = pyarrow.array(["a", "b"] * 500_000)
    pyarrow.parquet.write_table(pyarrow.table({"input": bomb, "label": labels}), path, compression="zstd")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match="10,000,000 bytes"):
        read_text_table(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([one for one in FORMATS if one != ".xlsx"]),
    at=st.integers(0, 4000),
    junk=st.binary(min_size=1, max_size=8),
    cut=st.booleans(),
)
def test_damaged_tables_end_in_a_data_error_or_rows(
    tmp_path: Path, suffix: str, at: int, junk: bytes, cut: bool
) -> None:
    path = write(tmp_path / f"damaged{suffix}", ROWS * 4)
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at : len(content) if cut else at + len(junk)] = junk
    path.write_bytes(bytes(content))
    try:
        read_text_table(path)
    except DataError as error:
        assert str(error)


def test_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.csv, \.tsv, .*\.xlsx"):
        open_table(tmp_path / "data.docx")
