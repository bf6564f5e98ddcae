from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from models_registry.models import AliasMove, Project
from models_registry.projects.versions import promote_version
from models_registry.selectors import production_of
from models_registry.services import retire_model
from tests.factories import ProjectFactory, RegisteredModelFactory, TrainingJobFactory, UserFactory
from tests.tiny_models import live_colour_model

pytestmark = pytest.mark.django_db

TABS = ("", "versions/", "use/", "settings/")


def as_(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def project() -> Project:
    """A project of two versions and a training."""
    first = live_colour_model()
    live_colour_model(project=first.project, owner=first.owner)
    promote_version(project=first.project, version=1)
    TrainingJobFactory(project=first.project, owner=first.owner)
    return first.project


@pytest.mark.parametrize("tab", TABS)
def test_owner_sees_each_tab(project: Project, tab: str) -> None:
    page = as_(project.owner).get(f"/projects/{project.public_id}/{tab}")
    assert page.status_code == 200
    assert project.name in page.content.decode()


@pytest.mark.parametrize("tab", TABS)
def test_colleague_without_rights_sees_404(project: Project, tab: str) -> None:
    address = f"/projects/{project.public_id}/{tab}"
    assert as_(UserFactory()).get(address).status_code == 404
    assert Client().get(address)["Location"].startswith("/accounts/login/")
    for call in ("promote", "rollback", "serve", "delete"):
        assert as_(UserFactory()).post(f"/projects/{project.public_id}/{call}/").status_code == 404


@pytest.mark.parametrize("tab", TABS)
def test_project_without_versions_has_its_pages(tab: str) -> None:
    project = ProjectFactory()
    page = as_(project.owner).get(f"/projects/{project.public_id}/{tab}").content.decode()
    assert "no version in production" in page


def test_versions_come_a_page_at_a_time(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.pages.projects.VERSIONS_SHOWN", 1)
    client, address = as_(project.owner), f"/projects/{project.public_id}/versions/"
    first = client.get(address)
    assert [one.version for one in first.context["versions"]] == [2]
    assert f"{address}?below=2" in first.content.decode()
    last = client.get(address, {"below": "2"})
    assert ([one.version for one in last.context["versions"]], last.context["older"]) == ([1], None)


def test_promote_and_roll_back(project: Project) -> None:
    client, address = as_(project.owner), f"/projects/{project.public_id}"
    page = client.post(f"{address}/promote/", {"version": 2, "expected": 1}, follow=True).content.decode()
    assert "Version 2 is in production." in page
    assert "Roll back to version 1" in page
    assert AliasMove.objects.first().by == project.owner
    stale = client.post(f"{address}/promote/", {"version": 1, "expected": 1}, follow=True).content.decode()
    assert "Somebody else has changed it meanwhile" in stale
    client.post(f"{address}/rollback/", {"expected": 2})
    assert production_of(project).version == 1
    assert "Choose a version." in client.post(f"{address}/promote/", follow=True).content.decode()


def test_use_shows_the_token_of_the_project_alone(project: Project) -> None:
    page = as_(project.owner).get(f"/projects/{project.public_id}/use/").content.decode()
    assert f"/api/v1/models/{project.token}/predict/" in page
    assert f"Up to {settings.TRAINYARD['MAX_PREDICT_INPUTS']} inputs" in page
    assert not any(model.token in page for model in project.versions.all())


def test_overview_says_when_the_token_answers_nobody(project: Project) -> None:
    retire_model(model=production_of(project))
    page = as_(project.owner).get(f"/projects/{project.public_id}/").content.decode()
    assert "the token answers nobody" in page


def test_settings_are_saved_and_a_project_is_deleted(project: Project) -> None:
    client, address = as_(project.owner), f"/projects/{project.public_id}"
    client.post(
        f"{address}/settings/", {"name": "Blossoms", "description": "Of our garden.", "policy": "manual"}
    )
    project.refresh_from_db()
    assert (project.name, project.description) == ("Blossoms", "Of our garden.")
    assert client.post(f"{address}/settings/", {"name": ""}).status_code == 400
    assert "is deleted" in client.post(f"{address}/delete/", follow=True).content.decode()
    assert client.get(f"{address}/").status_code == 404


def test_settings_that_two_people_change_at_once_are_all_kept(project: Project) -> None:
    address = f"/projects/{project.public_id}/settings/"
    operator = UserFactory(is_staff=True, is_superuser=True)
    people = [as_(project.owner), as_(operator)]
    shown = [person.get(address).context["form"] for person in people]
    forms = []
    for form in shown:
        fields = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
        forms.append(fields | {f"initial-{name}": value for name, value in fields.items()})
    people[0].post(address, forms[0] | {"name": "Blossoms", "retention_days": "7"})
    people[1].post(address, forms[1] | {"description": "Of our\r\ngarden."})
    project.refresh_from_db()
    assert (project.name, project.retention_days) == ("Blossoms", 7)
    assert project.description == "Of our\r\ngarden."
    page = people[1].get(address).content.decode()
    assert '<input type="hidden" name="initial-name" value="Blossoms"' in page


def test_old_address_of_the_list_leads_on(project: Project) -> None:
    assert as_(project.owner).get("/models/?q=x")["Location"] == "/projects/?q=x"


def test_queries_do_not_grow(project: Project, django_assert_max_num_queries: Any) -> None:
    for _ in range(4):
        model = RegisteredModelFactory(owner=project.owner)
        promote_version(project=model.project, version=1)
        RegisteredModelFactory(owner=project.owner, project=project)
    client = as_(project.owner)
    for path in ("/projects/", f"/projects/{project.public_id}/versions/"):
        with django_assert_max_num_queries(14):
            assert client.get(path).status_code == 200


def test_names_notes_policy_and_retention(project: Project) -> None:
    client, address = as_(project.owner), f"/projects/{project.public_id}"
    client.post(f"{address}/versions/name/", {"name": "candidate", "version": "2"})
    client.post(f"{address}/versions/name/", {"version": "2", "notes": "Better light."})
    page = client.get(f"{address}/versions/").content.decode()
    assert "Better light." in page
    assert 'class="state ">candidate</span>' in page
    client.post(f"{address}/versions/name/", {"name": "candidate", "version": ""})
    assert list(project.aliases.values_list("name", flat=True)) == ["production"]
    told = client.post(f"{address}/versions/name/", {"name": "Bad name", "version": "2"}, follow=True)
    assert "cannot be called" in told.content.decode()
    settings = {"name": "Blossoms", "description": "", "policy": "when-better", "retention_days": "7"}
    client.post(f"{address}/settings/", settings)
    project.refresh_from_db()
    assert (project.policy, project.retention) == ("when-better", timedelta(days=7))
    assert 'value="7"' in client.get(f"{address}/settings/").content.decode()
    client.post(f"{address}/settings/", settings | {"retention_days": ""})
    project.refresh_from_db()
    assert project.retention is None
