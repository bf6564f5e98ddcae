"""Two people edit one project at once: no edit is lost, and the second sees what the first did."""

import threading

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.factories import UserFactory
from training.examples import edits
from training.examples.models import Edit, Example

from ..conftest import MakeProject

EACH = 8  # edits of a person


@pytest.mark.django_db(transaction=True)
def test_edits_in_the_same_moment_are_all_kept(make_project: MakeProject) -> None:
    project, other = make_project(EACH), UserFactory()
    ids = {
        label: list(Example.objects.filter(label=label).order_by("id").values_list("pk", flat=True))
        for label in ("rose", "iris")
    }
    began, errors = threading.Barrier(2), []

    def edit(author: object, label: str) -> None:
        try:
            began.wait(timeout=10)
            for number, pk in enumerate(ids[label]):
                chosen = Example.objects.filter(pk=pk)
                edits.relabel(project=project, author=author, chosen=chosen, label=f"{label} {number}")  # type: ignore[arg-type]
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    people = [threading.Thread(target=edit, args=one) for one in ((project.owner, "rose"), (other, "iris"))]
    for person in people:
        person.start()
    for person in people:
        person.join(timeout=30)
    assert not errors
    assert sorted(Edit.objects.values_list("number", flat=True)) == list(range(1, 2 * EACH + 1))
    for author, label in ((project.owner, "rose"), (other, "iris")):
        now = Example.objects.filter(pk__in=ids[label]).order_by("id").values_list("label", flat=True)
        assert list(now) == [f"{label} {number}" for number in range(EACH)]
        assert Edit.objects.filter(author=author).count() == EACH


@pytest.mark.django_db
def test_who_comes_second_is_told_what_the_first_did(make_project: MakeProject) -> None:
    project = make_project()
    operator = UserFactory(username="grace", is_staff=True, is_superuser=True)
    first, second = Client(), Client()
    first.force_login(project.owner)
    second.force_login(operator)
    page, form = (
        reverse(f"training:{name}", args=[project.public_id]) for name in ("project-data", "edit-data")
    )
    seen = [client.get(page).context["seen"] for client in (first, second)]
    roses = list(Example.objects.filter(label="rose").values_list("pk", flat=True))
    first.post(form, {"action": "exclude", "example": roses[:1], "seen": seen[0]})
    told = second.post(
        form, {"action": "relabel", "label": "tulip", "example": roses, "seen": seen[1]}, follow=True
    ).content.decode()
    assert "3 examples now “tulip”. 1 left as they are: somebody has edited them" in told
    assert "1 example excluded" in told
    assert str(project.owner) in told
    excluded = Example.objects.get(pk=roses[0])
    assert (excluded.label, excluded.excluded) == ("rose", True)
    again = second.patch(
        f"/api/v1/projects/{project.public_id}/examples/",
        {"ids": roses, "class_name": "lily", "seen": 0},
        "application/json",
    ).json()
    assert (again["changed"], again["overtaken"]) == (0, 4)


@pytest.mark.django_db
def test_a_merge_while_somebody_relabels_loses_neither(make_project: MakeProject) -> None:
    project, other = make_project(), UserFactory()
    roses = Example.objects.filter(label="rose")
    first, second, *rest = roses.order_by("id").values_list("pk", flat=True)
    edits.relabel(project=project, author=other, chosen=roses.filter(pk=first), label="tulip", seen=0)
    merged = edits.rename_class(project=project, author=project.owner, old="rose", new="iris")
    assert merged.edit is not None
    assert merged.edit.summary == "3 examples “rose” merged into “iris”"
    chosen = Example.objects.filter(pk__in=[first, second])
    late = edits.relabel(project=project, author=other, chosen=chosen, label="lily", seen=1)
    assert (late.changed, late.overtaken) == (1, 1), "it has not seen the merge"
    taken_back = edits.undo(project=project, author=other, number=merged.edit.number)
    assert (taken_back.changed, taken_back.overtaken) == (3, 0)
    labels = dict(Example.objects.filter(pk__in=[first, second, *rest]).values_list("pk", "label"))
    assert labels == {first: "lily", second: "rose"} | dict.fromkeys(rest, "rose")
    assert Example.objects.filter(label="iris").count() == 4
    assert [edit.author for edit in Edit.objects.order_by("number")] == [other, project.owner, other, other]
