"""The page of a comparison, from the click to the promotion."""

from collections.abc import Callable

import pytest
from django.test import Client

from evaluations.models import Evaluation
from models_registry.models import AliasMove, Project
from models_registry.selectors import production_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], None]


def client_of(project: Project) -> Client:
    client = Client()
    client.force_login(project.owner)
    return client


def test_one_click_measures_compares_and_another_promotes(project: Project, work_off: WorkOff) -> None:
    client, base = client_of(project), f"/projects/{project.public_id}"
    versions = client.get(f"{base}/versions/").content.decode()
    assert versions.count('form="compare-form"') == 2
    shown = client.post(f"{base}/versions/compare/", {"v": ["1", "2"]}, follow=True)
    assert "The versions are being measured." in shown.content.decode()
    news = client.get(f"{base}/versions/compare/news/?v=1&v=2")
    assert 'hx-trigger="every 1s"' in news.content.decode()
    work_off()
    assert client.get(f"{base}/versions/compare/news/?v=1&v=2")["HX-Refresh"] == "true"
    page = client.get(f"{base}/versions/compare/?v=1&v=2").content.decode()
    assert "Version 1 is better than version 2 beyond chance (p = 0.016)." in page
    assert "the project&#x27;s test part" in page or "the project's test part" in page
    assert page.count("compare-right") == page.count("compare-wrong") == 7
    assert "rather sad d" in page
    client.post(f"{base}/promote/", {"version": 2, "expected": 1, "why": "Version 2 reads less."})
    promoted = production_of(project)
    assert promoted is not None
    assert promoted.version == 2
    assert AliasMove.objects.first().why == "Version 2 reads less."


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("v=1", "Choose 2 to 6 versions"),
        ("v=x&v=1", "Choose 2 to 6 versions"),
        ("v=1&v=9", "has no version 9"),
        ("v=1&v=2", "not measured on the same examples yet"),
    ],
)
def test_a_page_without_a_comparison_says_what_to_do(project: Project, query: str, told: str) -> None:
    page = client_of(project).get(f"/projects/{project.public_id}/versions/compare/?{query}")
    assert page.status_code == 200
    assert told in page.content.decode()


def test_a_version_that_cannot_be_measured_is_told(project: Project, work_off: WorkOff) -> None:
    client, address = client_of(project), f"/projects/{project.public_id}/versions/compare/"
    client.post(address, {"v": ["1", "2"]})
    project.versions.filter(version=2).update(state="retired")
    work_off()
    assert "Version 2 could not be measured." in client.get(f"{address}?v=1&v=2").content.decode()
    messages = client.post(address, {"v": ["1", "2"]}, follow=True).content.decode()
    assert "Version 2 is not live any more" in messages


def test_others_see_nothing(project: Project) -> None:
    client, base = Client(), f"/projects/{project.public_id}/versions"
    client.force_login(UserFactory())
    for address in (f"{base}/compare/?v=1&v=2", f"{base}/compare/news/?v=1&v=2", f"{base}/evaluations/"):
        assert client.get(address).status_code == 404
    assert client.post(f"{base}/compare/", {"v": ["1", "2"]}).status_code == 404
    assert not Evaluation.objects.exists()
