"""Evaluations and comparisons over REST."""

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from evaluations.models import Evaluation
from models_registry.models import Project

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], None]


@pytest.fixture
def client(project: Project) -> APIClient:
    client = APIClient()
    client.force_authenticate(project.owner)
    return client


def test_a_file_is_measured(project: Project, client: APIClient, work_off: WorkOff) -> None:
    address = f"/api/v1/projects/{project.public_id}/evaluations/"
    file = SimpleUploadedFile("mine.csv", b"text,label\nglad you,joy\nsad you,sorrow\nglad me,envy\n")
    answer = client.post(address, {"version": 1, "file": file}, format="multipart")
    assert (answer.status_code, answer.json()["state"], answer.json()["figures"]) == (202, "queued", None)
    work_off()
    found = client.get(answer["Location"]).json()
    assert (found["state"], found["basis"], found["file"]) == ("succeeded", "file", "mine.csv")
    figures = found["figures"]
    assert (figures["examples"], figures["right"], figures["unknown"]) == (3, 2, {"envy": 1})
    assert [row["class"] for row in figures["per_class"]] == ["envy", "joy", "sorrow"]
    again = client.post(address, {"version": 2, "file_id": found["file_id"]}, format="json")
    assert again.json()["file_id"] == found["file_id"]
    assert [one["version"] for one in client.get(address).json()] == [2, 1]
    assert client.delete(f"{address}{again.json()['id']}/").status_code == 400, "it has not ended"
    assert client.post(f"{address}{again.json()['id']}/cancel/").json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"version": 9}, "no version 9"),
        ({"version": 1, "file_id": 9}, "Not Found"),
        ({}, "version"),
    ],
)
def test_what_cannot_be_measured_is_a_problem(
    project: Project, client: APIClient, body: object, told: str
) -> None:
    answer = client.post(f"/api/v1/projects/{project.public_id}/evaluations/", body, format="json")
    assert answer.status_code in (400, 404)
    assert told in answer.content.decode()


def test_versions_are_compared(project: Project, client: APIClient, work_off: WorkOff) -> None:
    address = f"/api/v1/projects/{project.public_id}/compare/"
    assert client.get(f"{address}?v=1&v=2").json()["state"] == "none"
    begun = client.post(address, {"versions": [1, 2]}, format="json")
    assert (begun.status_code, begun.json()["state"]) == (202, "running")
    work_off()
    found = client.get(f"{address}?v=1&v=2").json()
    assert (found["state"], found["basis"], found["examples"], found["differ"]) == ("ready", "test", 11, 7)
    [pair] = found["pairs"]
    assert (pair["only_first"], pair["only_second"], pair["better"], pair["beyond_chance"]) == (7, 0, 1, True)
    assert pair["p"] == pytest.approx(2 / 2**7)
    assert [one["version"] for one in found["figures"]] == [1, 2]
    [first, *_] = found["differing"]
    assert [answer["right"] for answer in first["answers"]] == [True, False]
    assert client.get(f"{address}?v=1").status_code == 400
    assert Evaluation.objects.count() == 2
