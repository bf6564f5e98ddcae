"""Names for versions beside production, and notes."""

import pytest

from core.exceptions import Conflict, InvalidRequest
from models_registry.models import Alias, AliasMove, Project
from models_registry.projects.aliases import MOST, note_on_version, remove_alias, set_alias
from models_registry.projects.versions import promote_version
from tests.factories import RegisteredModelFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    """A project of two versions, the first in production."""
    first = RegisteredModelFactory()
    RegisteredModelFactory(project=first.project)
    promote_version(project=first.project, version=1)
    return first.project


def names(project: Project) -> dict[str, int]:
    return dict(Alias.objects.filter(project=project).values_list("name", "model__version"))


def test_a_name_stands_for_one_version_and_moves(project: Project) -> None:
    set_alias(project=project, name="candidate", version=1, why="first try")
    set_alias(project=project, name="candidate", version=2, expected=1)
    set_alias(project=project, name="candidate", version=2)
    assert names(project) == {"production": 1, "candidate": 2}
    moves = AliasMove.objects.filter(name="candidate").order_by("id")
    assert [(move.kind, move.to_model.version, move.why) for move in moves] == [
        ("named", 1, "first try"),
        ("named", 2, ""),
    ]
    remove_alias(project=project, name="candidate")
    assert names(project) == {"production": 1}
    assert AliasMove.objects.filter(kind="removal", name="candidate").count() == 1


@pytest.mark.parametrize("name", ["", "Candidate", "1st", "a b", "a" * 41, "a\n"])
def test_what_is_no_name_is_refused(project: Project, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be called"):
        set_alias(project=project, name=name, version=1)


def test_production_is_promoted_and_not_named(project: Project) -> None:
    for call in (
        lambda: set_alias(project=project, name="production", version=2),
        lambda: remove_alias(project=project, name="production"),
    ):
        with pytest.raises(InvalidRequest, match="promoting"):
            call()
    assert names(project) == {"production": 1}


def test_a_name_that_somebody_moved_meanwhile_stays(project: Project) -> None:
    set_alias(project=project, name="candidate", version=1)
    with pytest.raises(Conflict, match="candidate is version 1"):
        set_alias(project=project, name="candidate", version=2, expected=0)


def test_what_is_not_there_is_told(project: Project) -> None:
    project.versions.filter(version=2).update(state="deleted")
    for version in (2, 9):
        with pytest.raises(InvalidRequest, match=f"no version {version}"):
            set_alias(project=project, name="candidate", version=version)
    with pytest.raises(InvalidRequest, match="is called candidate"):
        remove_alias(project=project, name="candidate")
    with pytest.raises(InvalidRequest, match="no version 9"):
        note_on_version(project=project, version=9, notes="x")


def test_so_many_names_and_no_more(project: Project) -> None:
    for number in range(MOST - 1):
        set_alias(project=project, name=f"n{number}", version=1)
    with pytest.raises(InvalidRequest, match=f"{MOST} names"):
        set_alias(project=project, name="more", version=1)
    set_alias(project=project, name="n0", version=2)


def test_notes_are_kept_and_bounded(project: Project) -> None:
    assert note_on_version(project=project, version=2, notes=" Better light. ").notes == "Better light."
    assert project.versions.get(version=2).notes == "Better light."
    with pytest.raises(InvalidRequest, match="4,000 characters"):
        note_on_version(project=project, version=2, notes="x" * 4001)
