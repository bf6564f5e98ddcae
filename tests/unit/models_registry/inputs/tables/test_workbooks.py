"""Sheets that belong together: one a class, one a part of a split."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from models_registry.inputs import Corrections, open_table
from tests.sheets import xlsx
from training.engine.data import build_report, read_text_table

CARDS = [["Where is my new card, please?"], ["My card has not come yet"], ["They sent the wrong card"]]
RATES = [["What is the rate for euros"], ["How much is a dollar, today"], ["The rate seems too high"]]
CLASSES = {"card": 3, "rate": 3}


def report_of(path: Path, *sheets: Any, names: list[str]) -> Any:
    path.write_bytes(xlsx(*sheets, names=names))
    return build_report(path, task_type="textclassification", columns={})


@pytest.mark.parametrize("heading", [["text"], ["id", "text"]])
def test_sheet_of_a_class_each_is_called_after_it(tmp_path: Path, heading: list[str]) -> None:
    fill = [str(number) for number in range(len(heading) - 1)]
    cards, rates = ([heading, *[[*fill, *row] for row in rows]] for rows in (CARDS, RATES))
    report = report_of(tmp_path / "data.xlsx", cards, rates, names=["card", "rate"])
    assert (report.classes, report.problems) == (CLASSES, [])
    assert any("the name of each is the class" in warning for warning in report.warnings)
    assert read_text_table(tmp_path / "data.xlsx", report.columns).labels == ("card",) * 3 + ("rate",) * 3


def test_of_a_table_with_labels_no_other_sheet_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[list[str]] = []

    class Counted(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **more: Any) -> None:
            opened.append(command)
            super().__init__(command, **more)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    rows = [[*card, "card"] for card in CARDS] + [[*rate, "rate"] for rate in RATES]
    path = tmp_path / "data.xlsx"
    path.write_bytes(xlsx([["text", "label"], *rows], [["note"], ["by Ann"]], names=["data", "about"]))
    assert open_table(path).columns() == ["text", "label"]
    assert len(opened) == 1


def test_sheets_of_a_split_are_its_parts(tmp_path: Path) -> None:
    rows = [[*card, "card"] for card in CARDS] + [[*rate, "rate"] for rate in RATES]
    split = [["text", "label"], *rows], [["text", "label"], *rows[1:3], *rows[4:]], [["note"], ["by Ann"]]
    report = report_of(tmp_path / "data.xlsx", *split, names=["train", "test", "about"])
    assert (report.classes, report.test) == (CLASSES, 4)
    assert any("Left out are other sheets: about" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("names", "heading"),
    [
        (["Sheet1", "Sheet2"], ["text", "label"]),
        (["Tabelle1", "Tabelle2"], ["text"]),
        (["2023", "2024"], ["text"]),
    ],
)
def test_other_sheets_are_left_to_be_chosen(tmp_path: Path, names: list[str], heading: list[str]) -> None:
    path = tmp_path / "data.xlsx"
    labels = [["x"], ["y"], ["x"]] if len(heading) > 1 else [[]] * 3
    sheets = (
        [heading, *[[*row, *label] for row, label in zip(rows, labels, strict=True)]]
        for rows in (CARDS, RATES)
    )
    path.write_bytes(xlsx(*sheets, names=names))
    reader = open_table(path)
    assert reader.columns() == heading
    assert reader.choices["sheet"] == names[1:]


def test_named_sheet_is_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "data.xlsx"
    path.write_bytes(xlsx([["text"], *CARDS], [["text"], *RATES], names=["card", "rate"]))
    reader = open_table(path, corrections=Corrections(sheet="rate"))
    assert [[row.text] for row in reader.rows(text="text")] == RATES
    assert open_table(path).choices["sheet"] == ["card", "rate"]
