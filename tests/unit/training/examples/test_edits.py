import pytest

from core.exceptions import InvalidRequest
from models_registry.models import Project
from tests.factories import UserFactory
from training.examples import edits
from training.examples.models import Edit, Example

from ..conftest import MakeProject


def of(project: Project, **lookup: object) -> list[Example]:
    return list(Example.objects.filter(project=project, **lookup).order_by("id"))


def rows(project: Project) -> list[tuple[object, ...]]:
    fields = ("pk", "label", "split", "excluded", "confirmed", "edited_in")
    return list(Example.objects.filter(project=project).order_by("id").values_list(*fields))


def test_relabel_is_one_edit_that_tells_who(make_project: MakeProject) -> None:
    project = make_project()
    chosen = Example.objects.filter(project=project, label="rose")
    outcome = edits.relabel(project=project, author=project.owner, chosen=chosen, label="  tulip ")
    assert outcome.changed == 4
    assert len(of(project, label="tulip", confirmed=True)) == 4
    edit = Edit.objects.get(project=project)
    assert (edit.number, edit.author, edit.summary) == (1, project.owner, "4 examples now “tulip”")


def test_edits_are_taken_back_one_after_the_other(make_project: MakeProject) -> None:
    project = make_project()
    states = [rows(project)]
    chosen = Example.objects.filter(project=project, pk__in=[one.pk for one in of(project)[:3]])
    for change in (edits.exclude, edits.move_to_test_set, edits.take_suggestions):
        change(project=project, author=project.owner, chosen=chosen)
        states.append(rows(project))
    assert len({tuple(state) for state in states}) == 4
    for before in reversed(states[:-1]):
        edits.undo(project=project, author=project.owner)
        assert rows(project) == before
    with pytest.raises(InvalidRequest, match="nothing to take back"):
        edits.undo(project=project, author=project.owner)


def test_undo_is_taken_back_as_well(make_project: MakeProject) -> None:
    project = make_project()
    edits.exclude(project=project, author=project.owner, chosen=Example.objects.filter(label="rose"))
    undone = edits.undo(project=project, author=project.owner)
    assert undone.edit is not None
    edits.undo(project=project, author=project.owner, number=undone.edit.number)
    assert len(of(project, excluded=True)) == 4


def test_undo_leaves_what_another_has_edited_since(make_project: MakeProject) -> None:
    project, other = make_project(), UserFactory()
    roses = Example.objects.filter(project=project, pk__in=[one.pk for one in of(project, label="rose")])
    edits.relabel(project=project, author=project.owner, chosen=roses, label="tulip")
    first = of(project, label="tulip")[0]
    edits.relabel(project=project, author=other, chosen=roses.filter(pk=first.pk), label="lily")
    outcome = edits.undo(project=project, author=project.owner)
    assert (outcome.changed, outcome.overtaken) == (3, 1)
    assert Example.objects.get(pk=first.pk).label == "lily"


def test_second_author_sees_what_the_first_did(make_project: MakeProject) -> None:
    project, other = make_project(), UserFactory()
    seen = edits.newest_edit(project)
    roses = Example.objects.filter(project=project, pk__in=[one.pk for one in of(project, label="rose")])
    first = roses.filter(pk__lte=of(project)[1].pk)
    edits.relabel(project=project, author=project.owner, chosen=first, label="tulip", seen=seen)
    outcome = edits.exclude(project=project, author=other, chosen=roses, seen=seen)
    assert (outcome.changed, outcome.overtaken) == (2, 2)
    assert len(of(project, label="tulip", excluded=False)) == 2


def test_what_is_so_already_is_no_edit(make_project: MakeProject) -> None:
    project = make_project()
    outcome = edits.restore(project=project, author=project.owner, chosen=Example.objects.all())
    assert outcome == (None, 0, 0)
    assert not Edit.objects.exists()


def test_examples_of_other_projects_are_never_edited(make_project: MakeProject) -> None:
    project, other = make_project(), make_project()
    edits.exclude(project=project, author=project.owner, chosen=Example.objects.all())
    assert not of(other, excluded=True)


def test_class_is_renamed_or_merged(make_project: MakeProject) -> None:
    project = make_project()
    edits.rename_class(project=project, author=project.owner, old="rose", new="tulip")
    outcome = edits.rename_class(project=project, author=project.owner, old="tulip", new="lily")
    assert outcome.edit is not None
    assert outcome.edit.summary == "4 examples “tulip” merged into “lily”"
    assert len(of(project, label="lily")) == 8
    edits.undo(project=project, author=project.owner)
    assert len(of(project, label="tulip")) == 4
    with pytest.raises(InvalidRequest, match="no class “rose”"):
        edits.rename_class(project=project, author=project.owner, old="rose", new="x")


@pytest.mark.parametrize("label", ["", "   ", "x" * 201, "a\x07b"])
def test_labels_that_cannot_be_kept(make_project: MakeProject, label: str) -> None:
    project = make_project()
    with pytest.raises(InvalidRequest, match="name of a class"):
        edits.relabel(project=project, author=None, chosen=Example.objects.all(), label=label)
