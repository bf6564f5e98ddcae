"""Versions measured and compared from a shell."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from evaluations.management.commands import project as command
from models_registry.models import Project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def a_worker(monkeypatch: pytest.MonkeyPatch, work_off: Callable[[], None]) -> None:
    """Let a worker do what waits while the command does."""
    monkeypatch.setattr(command.time, "sleep", lambda _: work_off())


def printed(*arguments: object) -> Any:
    out = io.StringIO()
    call_command("project", "--json", *map(str, arguments), stdout=out)
    return json.loads(out.getvalue())


def test_a_version_is_measured(project: Project, tmp_path: Path) -> None:
    [own] = printed("evaluate", project.public_id, 1)
    assert (own["basis"], own["examples"], own["accuracy"]) == ("test", 11, 90.91)
    path = tmp_path / "mine.csv"
    path.write_text("text,label\nglad you,joy\nglad me,envy\n")
    [brought] = printed("evaluate", project.token, 1, "--file", path)
    assert (brought["accuracy"], brought["unknown"]) == (50, {"envy": 1})
    with pytest.raises(CommandError, match="cannot be read"):
        printed("evaluate", project.token, 1, "--file", tmp_path / "nothing.csv")
    with pytest.raises(CommandError, match="no version 9"):
        printed("evaluate", project.token, 9)


def test_versions_are_compared(project: Project) -> None:
    found = printed("compare", project.public_id, 1, 2)
    assert (found["basis"], found["examples"]) == ("test", 11)
    assert [row["accuracy"] for row in found["versions"]] == [90.91, 27.27]
    assert [(pair["better"], pair["beyond_chance"]) for pair in found["pairs"]] == [(1, True)]
    out = io.StringIO()
    call_command("project", "compare", str(project.public_id), "1", "2", stdout=out)
    assert "Version 1 is better than version 2 beyond chance (p = 0.016)." in out.getvalue()


def test_waiting_ends(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.time, "sleep", lambda _: None)
    with pytest.raises(CommandError, match="No worker has measured it within 0 s"):
        printed("evaluate", project.public_id, 1, "--timeout", 0)


def test_versions_are_named_noted_and_kept(project: Project) -> None:
    printed("alias", project.public_id, "candidate", 2)
    printed("note", project.public_id, 2, "Reads one word.")
    printed("policy", project.public_id, "when-better")
    described, second, _ = printed("keep", project.public_id, 7)
    assert (second["aliases"], second["notes"]) == ("candidate", "Reads one word.")
    assert (described["policy"], described["retention_days"]) == ("when-better", 7)
    described, second, _ = printed("alias", project.public_id, "candidate", 0)
    assert second["aliases"] == ""
    assert printed("keep", project.public_id, 0)[0]["retention_days"] is None
    with pytest.raises(CommandError, match="promoting"):
        printed("alias", project.public_id, "production", 2)
    assert printed("promote", project.public_id, 2, "--expected", 1)[0]["production"] == 2
    assert printed("rollback", project.public_id)[0]["production"] == 1
