"""The admin in a browser: nothing serious for axe-core, no complaint on the console, actions that ask first."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.platform_process import PlatformProcess

from .chromium import PASSWORD, open_page
from .test_accessibility import MODES, serious_findings

pytestmark = pytest.mark.browser

LISTS = {
    "jobs": "/admin/training/trainingjob/",
    "models": "/admin/models_registry/registeredmodel/",
    "data sets": "/admin/training/dataset/",
    "batches": "/admin/inference/batch/",
    "workers": "/admin/training/workerheartbeat/",
    "documents": "/admin/documents/document/",
    "users": "/admin/accounts/user/",
}
PAGES = {
    "job": "/admin/training/trainingjob/1/change/",
    "model": "/admin/models_registry/registeredmodel/1/change/",
    "document": "/admin/documents/document/status.json/change/",
    "switches": "/admin/control/platformstatus/1/change/",
    "question": "/admin/control/platformstatus/1/halt",
    "question with a form": "/admin/models_registry/registeredmodel/1/keep",
}
SEED = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from tests.factories import *
from documents.publish import publish_waiting
from inference.models import Batch
from training.models import WorkerHeartbeat
User.objects.create_superuser("root", "root@example.org", "{password}")
now = timezone.now()
model = ArtifactFactory(model__name="Owls").model
TrainingJobFactory(name="Owls", state="succeeded", finished_at=now, started_at=now, registered_model=model)
TrainingJobFactory(name="Cats", state="failed", finished_at=now, error="Add a class.")
TrainingJobFactory(name="Dogs", state="queued")
TrainingJobFactory(
    name="Birds", state="running", started_at=now, worker="w1", lease_expires_at=now + timedelta(hours=1),
    progress={{"phase": "features", "done": 3, "total": 7}},
)
Batch.objects.create(model=model, source_name="a.zip", suffix=".zip", size=1, total=10, done=3)
WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now, ready=True)
publish_waiting()
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """A web process with some rows; nobody works on them."""
    platform = PlatformProcess(tmp_path_factory.mktemp("admin") / "home", web=False, worker=False)
    with platform:
        platform.manage("shell", "-c", SEED.format(password=PASSWORD))
        platform.start_web()
        yield platform


@pytest.fixture(params=list(MODES))
def page(
    request: pytest.FixtureRequest, platform: PlatformProcess, chromium_browser: Browser
) -> Iterator[Page]:
    with open_page(chromium_browser, platform.base_url, **MODES[request.param]) as page:
        sign_in(page)
        yield page


def sign_in(page: Page) -> None:
    page.goto("/admin/")
    page.locator("#id_username").fill("root")
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#dashboard").wait_for()


def test_pages_are_accessible_and_fit_into_the_window(page: Page) -> None:
    for path in [*LISTS.values(), *PAGES.values(), "/admin/"]:
        assert serious_findings(page, path) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_choice_of_a_list_is_asked_about_and_done(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES["light"]) as page:
        sign_in(page)
        page.goto(f"{LISTS['models']}?q=owls")
        page.get_by_role("checkbox", name="Select record").check()
        page.locator("select[name=action]").select_option("pin")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_role("heading", name="Pin: 1 model")).to_be_visible()
        page.get_by_role("button", name="Pin", exact=True).click()
        expect(page.get_by_text("1 model: Pinned.")).to_be_visible()
        page.get_by_role("link", name="Owls").first.click()
        page.get_by_role("link", name="Unpin").click()
        page.get_by_role("button", name="Unpin", exact=True).click()
        expect(page.get_by_text("1 model: Unpinned.")).to_be_visible()


def test_dashboard_renews_itself(platform: PlatformProcess, chromium_browser: Browser) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES["light"]) as page:
        sign_in(page)
        dashboard = page.locator("#dashboard")
        expect(dashboard).to_contain_text("Looking at every example, 3 of 7")
        platform.manage(
            "shell",
            "-c",
            "from training.models import TrainingJob; "
            "TrainingJob.objects.filter(name='Birds').update(progress={'phase': 'export'})",
        )
        expect(dashboard).to_contain_text("Writing the files")
