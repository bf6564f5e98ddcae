"""What is said of a data set in a shell, and what is printed of its plan."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core.queue.app import app
from training.datasets.models import Dataset
from training.jobs.models import TrainingJob
from training.management.corrections import report_lines

pytestmark = pytest.mark.django_db

KINDS = ("Cat", "cat", "dog", "bird")
ROWS = [f"row {number} of many words#{KINDS[number % 4]}" for number in range(48)]


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["text#label", *ROWS, "#dog", "once#once"]) + "\n")
    return path


def run(table: Path, *options: str) -> tuple[dict[str, Any], str]:
    out, err = io.StringIO(), io.StringIO()
    arguments = ("submit", "--task", "textclassification", "--data", str(table), "--json", *options)
    try:
        call_command(*arguments, stdout=out, stderr=err)
    finally:
        said = err.getvalue()
    return json.loads(out.getvalue().splitlines()[-1]), said


def test_dry_run_prints_the_plan_and_keeps_nothing(table: Path) -> None:
    plan, said = run(table, "--dry-run", "--separator", "#")
    assert plan["classes"] == {"Cat": 12, "bird": 12, "cat": 12, "dog": 12}
    assert "48 examples of 4 classes" in said
    assert "Left out, no text: 1 (row 50)" in said
    assert "Left out, examples of classes with fewer than 2: 1 (once)" in said
    assert "--merge cat=Cat" in said
    assert not Dataset.objects.exists()


def test_dry_run_of_what_cannot_be_trained_fails_and_says_what_to_do(table: Path) -> None:
    with pytest.raises(CommandError, match="There is no column 'input'"):
        run(table, "--dry-run")


def test_submit_trains_on_what_was_said_and_tells_every_warning(table: Path) -> None:
    told, said = run(
        table,
        *("--name", "Mine", "--separator", "#", "--merge", "Cat=cat", "--leave-out", "bird"),
        *("--min-examples", "5", "--split-column", ""),
    )
    dataset = TrainingJob.objects.get().dataset
    assert dataset.report["classes"] == {"cat": 24, "dog": 12}
    assert dataset.corrections == {
        "merge": {"Cat": "cat"},
        "leave_out": ["bird"],
        "min_examples": 5,
        "separator": "#",
        "split": "",
    }
    assert told["warnings"] == dataset.report["warnings"]
    assert told["plan"]["classes"] == dataset.report["classes"]
    assert all(words in said for words in told["warnings"])
    assert "Left out, rows of classes that are left out: 12" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--merge", "cat"), "OLD=NEW"),
        (("--separator", "ab"), "one character"),
        (("--encoding", "none"), "name of an encoding"),
        (("--min-examples", "0"), "from 1"),
        ((), "Name the model"),
    ],
)
def test_what_cannot_be_said_is_refused(table: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(table, *options, *(("--dry-run",) if options else ()))


def test_what_could_not_be_read_is_listed_and_counted() -> None:
    unreadable = [{"name": f"row {number}", "reason": "no label"} for number in range(50)]
    report = {"warnings": ["Left out: 70."], "unreadable": unreadable, "unreadable_count": 70}
    lines = list(report_lines(report))
    assert lines[:2] == ["Left out: 70.", "  row 0: no label"]
    assert lines[-1] == "  and 50 more"
    assert list(report_lines({"unreadable": unreadable[:2], "unreadable_count": 2}))[1:] == [
        "  row 1: no label"
    ]
