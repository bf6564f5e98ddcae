import time
from io import BytesIO
from typing import Any

import pytest
from rest_framework.test import APIClient

from models_registry.models import Project
from models_registry.projects.versions import promote_version
from tests.factories import RegisteredModelFactory, UserFactory
from tests.tiny_models import live_colour_model, picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    """A project of two versions."""
    first = live_colour_model()
    live_colour_model(project=first.project, owner=first.owner)
    promote_version(project=first.project, version=1)
    return first.project


def client_of(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def test_owner_sees_and_promotes(project: Project) -> None:
    client, address = client_of(project.owner), f"/api/v1/projects/{project.public_id}/"
    [listed] = client.get("/api/v1/projects/").json()["results"]
    assert (listed["id"], listed["token"], listed["production"]) == (str(project.public_id), project.token, 1)
    assert [(v["version"], v["aliases"]) for v in client.get(f"{address}versions/").json()] == [
        (2, []),
        (1, ["production"]),
    ]
    answer = client.post(f"{address}promote/", {"version": 2, "expected": 1}, format="json")
    assert (answer.status_code, answer.json()["production"]) == (200, 2)
    answer = client.post(f"{address}promote/", {"version": 2, "expected": 1}, format="json")
    assert answer.status_code == 409
    assert client.post(f"{address}rollback/").json()["production"] == 1
    assert client.post(f"{address}promote/", {"version": 9}, format="json").status_code == 400
    changed = client.patch(address, {"name": "Blossoms"}, format="json")
    assert changed.json()["name"] == "Blossoms"
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("get", "versions/"),
        ("post", "promote/"),
        ("post", "rollback/"),
        ("delete", ""),
        ("patch", ""),
    ],
)
def test_colleague_without_rights_sees_404(project: Project, method: str, path: str) -> None:
    client = client_of(UserFactory())
    answer = getattr(client, method)(
        f"/api/v1/projects/{project.public_id}/{path}", {"version": 2}, format="json"
    )
    assert answer.status_code == 404
    assert client.get("/api/v1/projects/").json()["results"] == []


def test_queries_of_the_list_do_not_grow(project: Project, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        model = RegisteredModelFactory(owner=project.owner)
        promote_version(project=model.project, version=1)
    client = client_of(project.owner)
    with django_assert_max_num_queries(4):
        assert len(client.get("/api/v1/projects/").json()["results"]) == 6


def test_project_token_predicts_and_names_the_version(project: Project) -> None:
    def ask() -> Any:
        file = BytesIO(picture("red"))
        file.name = "red.png"
        return APIClient().post(f"/api/v1/models/{project.token}/predict/", {"file": file}).json()

    assert (ask()["model"], ask()["version"]) == (project.token, 1)
    promote_version(project=project, version=2)
    deadline = time.monotonic() + 15  # the old one answers until the new one is loaded
    while (answer := ask())["version"] != 2:
        assert answer["predictions"][0]["label"] == "red"
        assert time.monotonic() < deadline
    assert answer["predictions"][0]["label"] == "red"
    page = APIClient().get(f"/models/{project.token}/")
    assert page.status_code == 200
    assert project.versions.get(version=2).token not in page.content.decode(), "its own token stays unknown"
    check = APIClient().post(
        "/flash/check", {"body": BytesIO(f'{{"token": "{project.token}"}}'.encode())}, format="multipart"
    )
    assert check.json()["result"] == "success"
