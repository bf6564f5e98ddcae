"""The examples of a project over REST."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from models_registry.models import Project
from tests.factories import UserFactory
from tests.tiny_models import picture
from training.examples.models import Example

from ..conftest import MakeProject

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(make_project: MakeProject, client: Client) -> Project:
    project = make_project()
    client.force_login(project.owner)
    return project


def address(project: Project, name: str = "examples") -> str:
    return f"/api/v1/projects/{project.public_id}/{name}/"


def patch(client: Client, project: Project, **body: object) -> tuple[int, dict[str, object]]:
    answer = client.patch(address(project), body, "application/json")
    return answer.status_code, answer.json()


def test_examples_are_listed_with_filters(project: Project, client: Client) -> None:
    found = client.get(address(project), {"class": "rose", "show": "doubt"}).json()
    assert [(one["class_name"], one["doubt"]) for one in found["results"]] == [("rose", 0.9), ("rose", 0.89)]
    assert (found["next"], found["newest_edit"]) == (None, 0)


@pytest.mark.parametrize(
    ("filters", "name"),
    [
        ({"flag": "doubt"}, "flag"),
        ({"flag": "wrong_label", "show": "odd_one"}, "show"),
        ({"flag": "odd_one", "across": "class"}, "across"),
        ({"across": "class"}, "across"),
        ({"split": "exam"}, "split"),
        ({"since": "yesterday"}, "since"),
        ({"source": "fax"}, "source"),
        ({"after": "here"}, "after"),
        ({"after": "5", "flag": "wrong_label"}, "after"),
        ({"class": ["rose", "iris"]}, "class"),
    ],
)
def test_filter_that_cannot_be_used_is_named(
    project: Project, client: Client, filters: dict[str, object], name: str
) -> None:
    answer = client.get(address(project), filters)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [name])


@pytest.mark.parametrize("filters", [{}, {"flag": "wrong_label"}, {"flag": "near_copy", "across": "class"}])
def test_next_leads_through_the_whole_list(
    project: Project, client: Client, filters: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(path: str, given: dict[str, str]) -> list[int]:
        found = client.get(path, given).json()
        more = listed(found["next"], {}) if found["next"] else []
        return [one["id"] for one in found["results"]] + more

    whole = listed(address(project), filters)
    monkeypatch.setattr("training.api.examples.MOST", 1)
    assert listed(address(project), filters) == whole


def test_many_are_mended_and_taken_back(project: Project, client: Client) -> None:
    ids = list(Example.objects.filter(project=project, label="rose").values_list("pk", flat=True))
    status, found = patch(client, project, ids=ids, class_name="tulip", seen=0)
    assert (status, found["edit"], found["changed"]) == (200, 1, 4)
    status, found = patch(client, project, ids=ids, excluded=True, seen=0)
    assert (found["edit"], found["changed"], found["overtaken"]) == (None, 0, 4)
    for change in ({"excluded": True}, {"split": "test"}, {"take_suggestion": True}):
        assert patch(client, project, ids=ids, **change)[1]["changed"] == 4
    refused = client.post(address(project, "undo"), {"edit": 1}, "application/json")
    assert refused.status_code == 400
    assert "Take the later edits back first" in refused.json()["detail"]
    for _ in range(3):
        client.post(address(project, "undo"), {}, "application/json")
    client.post(address(project, "undo"), {}, "application/json")
    assert Example.objects.filter(project=project, label="rose", split="train", excluded=False).count() == 3


@pytest.mark.parametrize("unknown", [0, -1, 10**9, 2**63, -(10**30), 10**30])
def test_examples_that_there_are_not_are_left_out(project: Project, client: Client, unknown: int) -> None:
    known = Example.objects.filter(project=project, label="rose").first()
    assert known is not None
    status, found = patch(client, project, ids=[known.pk, known.pk, unknown], excluded=True, seen=10**30)
    assert (status, found["changed"]) == (200, 1)
    assert (
        client.post(address(project, "undo"), {"edit": abs(unknown) + 2}, "application/json").status_code
        == 400
    )


@pytest.mark.parametrize(
    "change", [{}, {"excluded": True, "split": "test"}, {"split": "train"}, {"confirmed": False}]
)
def test_unclear_edits_are_refused(project: Project, client: Client, change: dict[str, object]) -> None:
    assert patch(client, project, ids=[1], **change)[0] == 400


def test_revisions_are_listed(project: Project, client: Client) -> None:
    found = client.get(address(project, "revisions")).json()
    assert [(one["number"], one["examples"], one["summary"]) for one in found] == [
        (1, 12, "As it was uploaded")
    ]


def test_photos_are_sent_as_a_form(make_project: MakeProject, client: Client) -> None:
    project = make_project(task_type="imageclassification")
    client.force_login(project.owner)
    files = [SimpleUploadedFile(f"{name}.png", picture(name)) for name in ("red", "green")]
    answer = client.post(address(project), {"file": files, "class_name": "colour"})
    assert (answer.status_code, answer.json()["added"]) == (201, 2)
    assert Example.objects.filter(project=project, label="colour").count() == 2


def test_a_large_upload_is_left_to_a_worker(project: Project, client: Client, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 2**20}
    content = b"text,label\n" + b"".join(b"%040d,many\n" % number for number in range(30_000))
    answer = client.post(address(project), {"file": SimpleUploadedFile("many.csv", content)})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert client.get(answer["Location"]).json() == answer.json()
    client.force_login(UserFactory())
    assert client.get(answer["Location"]).status_code == 404
