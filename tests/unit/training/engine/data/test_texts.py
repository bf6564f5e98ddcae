import base64
import csv
import io
import json
from pathlib import Path

import pytest

from training.engine.data import (
    DataError,
    Limits,
    build_report,
    iter_training_document_dataset,
    read_text_table,
)

COLUMNS = {"input": "input", "label": "label"}


def table(path: Path, content: str | bytes) -> Path:
    file = path / "data.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    found = read_text_table(table(tmp_path, "label,extra,input\nx,1,hello\ny,2,bye\n"))
    assert (found.texts, found.labels) == (("hello", "bye"), ("x", "y"))


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = table(tmp_path, "text,intent\nhello,x\n")
    assert read_text_table(path, {"input": "text", "label": "intent"}).labels == ("x",)


def test_quoted_commas_and_line_breaks_are_text(tmp_path: Path) -> None:
    found = read_text_table(table(tmp_path, 'input,label\n"one, two\nthree",x\n'))
    assert found.texts == ("one, two\nthree",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_honoured(tmp_path: Path, encoding: str) -> None:
    found = read_text_table(table(tmp_path, "input,label\ngrüße,x\n".encode(encoding)))
    assert found.texts == ("grüße",)


def test_rows_without_text_or_label_are_listed(tmp_path: Path) -> None:
    found = read_text_table(table(tmp_path, "input,label\n,x\nhello,\nbye,y\n\n"))
    assert found.texts == ("bye",)
    assert found.unreadable == (("row 2", "no input"), ("row 3", "no label"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("words,label\nhello,x\n", "no column 'input'"),
        ("input,label\nhel\0lo,x\nhel\0lo,y\n", "Row 3 holds NUL"),
        ("input,label\n" + "x" * 17_000_000 + ",x\n", "1,000,000 characters"),
    ],
)
def test_bad_tables_name_the_place_and_the_remedy(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_text_table(table(tmp_path, content))


def test_rows_are_limited(tmp_path: Path) -> None:
    path = table(tmp_path, "input,label\n" + "hello,x\n" * 11)
    with pytest.raises(DataError, match="10 rows"):
        read_text_table(path, limits=Limits(max_rows=10))


def test_report_of_one_class_is_a_problem(tmp_path: Path) -> None:
    path = table(tmp_path, "input,label\nhello,x\nbye,x\n")
    assert build_report(path, task_type="textclassification", columns=COLUMNS).problems


def test_report_tells_how_many_rows_it_has_read(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = table(tmp_path, "input,label\nhello,x\n,x\nbye,y\n")
    build_report(
        path,
        task_type="textclassification",
        columns=COLUMNS,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 0), (2, 0), (3, 0)]  # how many there will be nobody knows


def test_report_warns_of_imbalance_and_small_classes(tmp_path: Path) -> None:
    rows = [f"text {number},many" for number in range(40)] + ["a,few", "b,few"]
    path = table(tmp_path, "\n".join(["input,label", *rows]))
    report = build_report(path, task_type="textclassification", columns=COLUMNS)
    assert report.imbalance == 20
    assert report.problems == []
    assert any("few" in warning for warning in report.warnings)
    assert json.loads(json.dumps(report.to_json()))["classes"] == {"few": 2, "many": 40}


def test_document_form_gives_the_table_back(tmp_path: Path) -> None:
    rows = [(f"text {number}, with ümlaut", f"class {number % 3}") for number in range(2500)]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("text", "label"), *rows])
    path = table(tmp_path, buffer.getvalue())
    pieces = list(
        iter_training_document_dataset(
            path, task_type="textclassification", columns={"input": "text", "label": "label"}
        )
    )
    assert max(map(len, pieces)) < 300_000
    written = base64.b64decode(json.loads(b"".join(pieces))).decode()
    assert list(csv.reader(io.StringIO(written))) == [["input", "label"], *map(list, rows)]


def test_examples_in_two_classes_are_named(tmp_path: Path) -> None:
    rows = "".join(f"sentence {n},{'ab'[n % 2]}\n" for n in range(40))
    path = table(tmp_path, f"input,label\n{rows}sentence 3,a\n")
    report = build_report(path, task_type="textclassification", columns={})
    [warning] = [words for words in report.warnings if "more than one class" in words]
    assert warning.endswith("Such are 'sentence 3' (b, a).")


def test_long_name_of_a_class_is_told_with_the_limit(tmp_path: Path) -> None:
    rows = "".join(f"sentence {n},{'a' if n % 2 else 'b' * 201}\n" for n in range(40))
    report = build_report(table(tmp_path, f"input,label\n{rows}"), task_type="textclassification", columns={})
    assert report.problems == [
        f"The name of the class '{'b' * 40}'… has 201 characters; a name may have 200. Shorten it."
    ]
