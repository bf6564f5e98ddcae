import time
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from models_registry.models import Project
from models_registry.projects.versions import promote_version
from tests.factories import DatasetFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from tests.tiny_models import live_colour_model, picture
from training.examples.models import Findings, Revision

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
    assert [one["version"] for one in client.get(f"{address}versions/?below=2").json()] == [1]
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
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("get", "versions/", None),
        ("post", "promote/", {"version": 2}),
        ("post", "rollback/", {}),
        ("delete", "", None),
        ("patch", "", {}),
    ],
)
def test_colleague_without_rights_sees_404(project: Project, method: str, path: str, body: Any) -> None:
    client = client_of(UserFactory())
    answer = getattr(client, method)(f"/api/v1/projects/{project.public_id}/{path}", body, format="json")
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


def test_names_and_notes(project: Project) -> None:
    client, address = client_of(project.owner), f"/api/v1/projects/{project.public_id}/"
    named = client.put(f"{address}aliases/candidate/", {"version": 2, "expected": 0}, format="json")
    assert (named.status_code, named.json()["aliases"]) == (200, ["candidate"])
    again = client.put(f"{address}aliases/candidate/", {"version": 1, "expected": 0}, format="json")
    assert again.status_code == 409
    assert client.put(f"{address}aliases/production/", {"version": 2}, format="json").status_code == 400
    noted = client.patch(f"{address}versions/2/", {"notes": "Better light."}, format="json")
    assert (noted.status_code, noted.json()["notes"]) == (200, "Better light.")
    assert client.delete(f"{address}aliases/candidate/").status_code == 204
    assert [v["aliases"] for v in client.get(f"{address}versions/").json()] == [[], ["production"]]


def test_versions_say_where_they_come_from(project: Project, django_assert_num_queries: Any) -> None:
    first, dataset = project.versions.get(version=1), DatasetFactory()
    fields = {"project": project, "sha256": "0" * 64, "size": 1, "examples": 1}
    one = Revision.objects.create(number=1, key="r1", **fields)
    two = Revision.objects.create(number=2, key="r2", parent=one, summary="1 example relabelled", **fields)
    Findings.objects.create(
        project=project, model=first, revision=two, dataset=dataset, key="f", size=1, sha256="0" * 64
    )
    job = TrainingJobFactory(registered_model=first, state="succeeded", finished_at=timezone.now())
    client = client_of(project.owner)
    with django_assert_num_queries(4):
        versions = client.get(f"/api/v1/projects/{project.public_id}/versions/").json()
    told = [(v["version"], v["revision"], v["parent_revision"], v["job"], v["policy"]) for v in versions]
    assert told == [(2, None, None, None, None), (1, 2, 1, job.pk, None)]


@pytest.mark.parametrize(
    ("changes", "status", "kept"),
    [
        ({"policy": "when-better"}, 200, ("when-better", None)),
        ({"retention_days": 7}, 200, ("manual", timedelta(days=7))),
        ({"retention_days": 0}, 400, ("manual", None)),
        ({"policy": "always"}, 400, ("manual", None)),
    ],
)
def test_policy_and_retention(project: Project, changes: Any, status: int, kept: Any) -> None:
    client, address = client_of(project.owner), f"/api/v1/projects/{project.public_id}/"
    answer = client.patch(address, changes, format="json")
    assert answer.status_code == status, answer.content
    project.refresh_from_db()
    assert (project.policy, project.retention) == kept
    if status == 200:
        assert {name: answer.json()[name] for name in changes} == changes
        assert client.patch(address, {"retention_days": None}, format="json").json()["retention_days"] is None
