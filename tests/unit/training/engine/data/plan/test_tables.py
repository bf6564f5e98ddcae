"""Plans of tables account for every row, whatever stands in it and whatever was said."""

import csv
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_registry.inputs import Corrections, DataError, Limits, open_table
from tests.sheets import xlsx
from training.engine.data.plan import DataPlan, plan_table_file

CELLS = st.sampled_from(
    ["", "a", "b", "Cat", "cat", "two words", "a,b", 'say "no"', "x\ny", "ü", "7", "test", "train"]
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=25)
HEADINGS = st.sampled_from([["text", "label"], ["text", "label", "split"], ["a title"], []])
NAMES = st.sampled_from(["a", "b", "Cat", "cat", "nobody"])
SAID = st.fixed_dictionaries(
    {},
    optional={
        "separator": st.sampled_from([",", ";", "tab"]),
        "heading": st.booleans(),
        "encoding": st.sampled_from(["utf-8", "cp1252"]),
        "merge": st.dictionaries(NAMES, NAMES, max_size=3),
        "leave_out": st.lists(NAMES, max_size=2),
        "min_examples": st.integers(1, 4),
        "split": st.just(""),
    },
)


def plan(
    content: bytes, said: dict[str, Any] | None = None, *, name: str = "data.csv", is_whole: bool = True
) -> DataPlan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return plan_table_file(path, Corrections.from_json(said or {}), Limits(), is_whole=is_whole)


def rows_of(content: bytes, said: dict[str, Any], columns: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(content)
        reader = open_table(path, Limits(), Corrections.from_json(said))
        return sum(1 for _ in reader.rows(text=columns[0])) + reader.format().titles


def written(rows: list[list[str]], separator: str = ",") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator).writerows(rows)
    return file.getvalue().encode()


@settings(max_examples=150, deadline=None)
@given(HEADINGS, TABLES, SAID)
def test_each_row_is_accounted_for_once(
    heading: list[str], rows: list[list[str]], said: dict[str, Any]
) -> None:
    content = written([heading, *rows] if heading else rows)
    found = plan(content, said)
    json.dumps(found.to_json())
    if not found.is_complete:
        assert found.problem
        return
    accounted = found.examples + found.parts.get("test", 0) + sum(reason.number for reason in found.left_out)
    assert accounted == rows_of(content, said, found.columns)
    assert not set(found.classes) & set(said.get("leave_out", ()))


TABLE = [["text", "label"], *([f"some words {number}", ("x", "y")[number % 2]] for number in range(30))]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_beginning_has_no_row_that_the_whole_has_not(cut: int) -> None:
    content = written([*TABLE, ["a text\nof several\nlines", "x"], ["last one", "y"]])
    found = plan(content[:-cut], is_whole=False)
    assert (found.left_out, found.problem, found.is_complete) == ([], "", False)
    assert found.examples in (29, 30, 31)


def test_beginning_of_json_is_planned_too() -> None:
    content = json.dumps([dict(zip(("text", "label"), row, strict=True)) for row in TABLE[1:]]).encode()
    found = plan(content[:-20], name="data.json", is_whole=False)
    assert (found.problem, found.classes.keys()) == ("", {"x", "y"})


@pytest.mark.parametrize("name", ["data.xlsx", "data.parquet", "data.csv.gz", "data.json"])
def test_beginning_of_what_is_read_from_its_end_says_so(name: str) -> None:
    found = plan(b'{"data": [' if name.endswith("json") else b"PK\3\4 and no more", name=name, is_whole=False)
    assert found.problem == ""
    assert "when all of it is there" in found.notes[0]


def test_other_separators_and_headings_are_offered() -> None:
    content = b"some words;and, others;x\n" * 3 + b"more words;and, others;y\n" * 3
    offered = {suggestion.label: suggestion.corrections for suggestion in plan(content).suggestions}
    assert offered["A semicolon separates the fields"] == {"separator": ";"}
    assert offered["The first row names the columns"] == {"heading": True}
    assert plan(content, {"separator": ";"}).columns == ["column 1", "column 2", "column 3"]


def test_columns_that_have_to_be_named_are_there_to_choose_from() -> None:
    content = written([["one", "two", "three"], *(["a b", "c d", "e f"] for _ in range(4))])
    found = plan(content)
    assert found.columns == ["one", "two", "three"]
    assert found.rows[0] == ["a b", "c d", "e f"]
    assert "no column 'input'" in found.problem
    assert plan(content, {"input": "one", "label": "two"}).classes == {"c d": 4}


def test_columns_that_may_be_meant_are_offered() -> None:
    rows = [[f"a title {n}", f"words of the text {n}", "xy"[n % 2]] for n in range(12)]
    found = plan(written([["Title", "Description", "Kind"], *rows]))
    assert "no column 'input'" in found.problem
    offered = {suggestion.label: suggestion.corrections for suggestion in found.suggestions}
    assert offered["'Description' are the texts, 'Kind' the labels"] == {
        "input": "Description",
        "label": "Kind",
    }
    assert plan(written([["Title", "Description", "Kind"], *rows]), found.suggestions[0].corrections).classes


SHEETS = xlsx([("x", "y"), ("a", "b"), ("a", "c")], [("Read me",)], [tuple(row) for row in TABLE])


def test_other_sheets_are_offered() -> None:
    found = plan(SHEETS, name="book.xlsx")
    assert (found.sheet, found.sheets) == ("Sheet1", ["Sheet3", "Sheet2"])
    offered = {suggestion.label: suggestion.corrections for suggestion in found.suggestions}
    assert offered["Read the sheet 'Sheet3'"] == {"sheet": "Sheet3"}
    assert plan(SHEETS, {"sheet": "Sheet3"}, name="book.xlsx").classes == {"x": 15, "y": 15}


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_other_tables_of_a_zip_and_another_split_are_offered() -> None:
    tables = {"train": TABLE, "test": TABLE[:11], "other": [["a"], ["b"]]}
    content = zipped({f"{name}.csv": written(rows) for name, rows in tables.items()})
    found = plan(content, name="data.zip")
    assert (found.examples, found.parts) == (30, {"train": 30, "test": 10})
    assert found.members == ["train.csv", "test.csv", "other.csv"]
    offered = {suggestion.label: suggestion.corrections for suggestion in found.suggestions}
    together = plan(content, offered["Use all rows together"], name="data.zip")
    assert (together.examples, together.parts) == (40, {})
    alone = plan(content, offered["Read the table 'test.csv'"], name="data.zip")
    assert (alone.examples, alone.parts) == (10, {})
    assert alone.suggestions[0].label == "Read the table 'train.csv'"


def read(content: bytes, name: str) -> tuple[int, str]:
    """Return how many rows a table has, and what is said of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        reader = open_table(path, Limits())
        return sum(1 for _ in reader.rows(text=reader.columns()[0])), " ".join(reader.notes)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(TABLES, min_size=1, max_size=4),
    st.permutations(["train", "test", "valid", "part 1"]),
    st.sampled_from([["text", "label"], []]),
)
def test_each_row_of_each_table_of_a_zip_is_read_or_its_table_is_named(
    tables: list[list[list[str]]], names: list[str], heading: list[str]
) -> None:
    files = {
        name: written([heading, *rows] if heading else rows)
        for name, rows in zip(names, tables, strict=False)
    }
    try:
        count, said = read(zipped({f"{name}.csv": content for name, content in files.items()}), "data.zip")
    except DataError:
        return
    left = said.partition("eft out are its other tables")[2]
    used = [content for name, content in files.items() if f"'{name}.csv'" not in left]
    assert count == sum(read(content, "data.csv")[0] for content in used)


def test_doubtful_encodings_are_offered_by_how_a_word_reads() -> None:
    content = written([["text", "label"], *([f"Привет {number}", "xy"[number % 2]] for number in range(20))])
    content = content.decode().encode("cp1251")
    found = plan(content, {"encoding": "cp1252"})
    offered = {suggestion.label: suggestion.corrections for suggestion in found.suggestions}
    assert offered["Read words like 'Привет'"] == {"encoding": "cp1251"}
    assert offered["Guess the encoding"] == {"encoding": None}
    assert plan(content, offered["Read words like 'Привет'"]).rows[0] == ["Привет 0", "x"]
