"""The examples of a project from a shell."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from models_registry.models import Project
from training.examples.models import Example

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    return make_project()


@pytest.fixture
def ask(project: Project, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a call; returns the rows that it tells."""

    def run(call: str, *arguments: str) -> list[dict[str, Any]]:
        call_command("project", "--json", "examples", call, str(project.public_id), *arguments)
        return list(json.loads(capsys.readouterr().out))

    return run


def test_examples_are_listed_mended_and_taken_back(project: Project, ask: Any) -> None:
    doubted = ask("list", "--show", "doubt")
    assert [(one["class"], one["suggested"], one["example"]) for one in doubted] == [
        ("rose", "iris", "Text 0 of rose"),
        ("rose", "iris", "Text 1 of rose"),
    ]
    assert len(ask("list", "--limit", "3")) == 3
    [told] = ask("take", "--show", "doubt")
    assert told == {"edit": 1, "changed": 2, "summary": "2 examples now as suggested"}
    assert ask("relabel", "tulip", "--ids", f"{doubted[0]['id']},{doubted[1]['id']}")[0]["changed"] == 2
    assert ask("exclude", "--class", "lily")[0]["changed"] == 4
    assert ask("restore", "--class", "lily", "--split", "validation")[0]["changed"] == 1
    assert ask("test", "--text", "1 of lily")[0]["changed"] == 1
    assert ask("rename", "iris", "lily")[0]["summary"] == "4 examples “iris” merged into “lily”"
    assert ask("undo")[0]["changed"] == 4
    assert ask("undo", "--edit", "3")[0]["changed"] == 2, "one was restored and one moved since"
    assert ask("keep", "--all")[0]["changed"] == 10
    assert Example.objects.filter(project=project, label="tulip").count() == 2


def test_an_edit_says_which_examples(project: Project, ask: Any) -> None:
    with pytest.raises(CommandError, match="Say which examples"):
        ask("exclude")
    with pytest.raises(CommandError, match="no numbers"):
        ask("exclude", "--ids", "1,x")
    with pytest.raises(CommandError, match="nothing to take back"):
        ask("undo")


def test_examples_are_added_and_downloaded(project: Project, ask: Any, tmp_path: Path) -> None:
    table, output = tmp_path / "more.csv", tmp_path / "all.csv"
    table.write_text("input,label\nWhere is it?,lost\nNo idea,lost\n")
    assert ask("add", str(table)) == [{"added": 2, "known": 0, "unreadable": 0}]
    assert ask("add", str(table)) == [{"added": 0, "known": 2, "unreadable": 0}]
    assert ask("download", str(output), "--class", "lost")[0]["bytes"] == output.stat().st_size
    with output.open() as file:
        assert [row["input"] for row in csv.DictReader(file)] == ["Where is it?", "No idea"]
    for wrong, why in (
        ("all.zip", "Texts come as a table"),
        ("all.txt", "neither"),
        ("no/all.csv", "No such file"),
    ):
        with pytest.raises(CommandError, match=why):
            ask("download", str(tmp_path / wrong))
    with pytest.raises(CommandError, match="No such file"):
        ask("add", str(tmp_path / "none.csv"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["all.csv", "more.csv"]
