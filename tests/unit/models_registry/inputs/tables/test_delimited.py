"""Lines that are too long: their rows are left out, and no others."""

import csv
from pathlib import Path

import pytest

from models_registry.inputs import Limits
from training.engine.data import DataError, TextExamples, build_report, read_text_table

LIMITS = Limits(max_line_chars=100)
LONG = "much too long " * 20


def read(path: Path, content: str) -> TextExamples:
    path.write_text(content)
    return read_text_table(path, limits=LIMITS)


@pytest.mark.parametrize(
    "row",
    [
        f"{LONG},x",
        f'"{LONG}",x',
        f'"{LONG}\nmore, and more",x',
        f'"short\n{LONG}",x',
        f'"short\n{LONG}\nshort",x',
        f'"say ""{LONG}""\nmore",x',
    ],
    ids=["plain", "quoted", "first of several", "last of several", "between others", "quotes inside"],
)
def test_row_with_a_line_that_is_too_long_is_left_out_of_a_csv(tmp_path: Path, row: str) -> None:
    found = read(tmp_path / "data.csv", f'text,label\none,x\n{row}\ntwo,y\n"three\nlines",x\n')
    assert found.texts == ("one", "two", "three\nlines")
    assert [(place, reason) for place, reason in found.unreadable] == [
        ("row 3", "has a line of more than 100 characters")
    ]


def test_other_readers_of_the_process_keep_their_limit(tmp_path: Path) -> None:
    assert read(tmp_path / "data.csv", "text,label\none,x\ntwo,y\n").texts == ("one", "two")
    assert list(csv.reader([LONG])) == [[LONG]]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "data.jsonl",
            [
                '{"text": "one", "label": "x"}',
                f'{{"text": "{LONG}", "label": "y"}}',
                '{"text": "two", "label": "y"}',
            ],
        ),
        ("data.txt", ["__label__x one", f"__label__y {LONG}", "__label__y two"]),
    ],
)
def test_line_that_is_too_long_is_left_out_of_lines(tmp_path: Path, name: str, lines: list[str]) -> None:
    found = read(tmp_path / name, "\n".join(lines))
    assert (found.texts, found.labels) == (("one", "two"), ("x", "y"))
    assert found.unreadable == (("row 2", "has a line of more than 100 characters"),)


def test_report_lists_a_line_that_is_too_long(tmp_path: Path) -> None:
    rows = [f"text {number},{'xy'[number % 2]}" for number in range(8)]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["text,label", *rows, f"{LONG},x"]))
    report = build_report(path, task_type="textclassification", columns={}, limits=LIMITS)
    assert report.examples == 8
    assert report.unreadable == [{"name": "row 10", "reason": "has a line of more than 100 characters"}]


def test_line_that_goes_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Row 2 has more than 100 characters"):
        read(tmp_path / "data.csv", "text,label\n" + "x" * 10_000)
