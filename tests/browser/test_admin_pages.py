"""The admin in a browser: nothing serious for axe-core, no complaint on the console, actions that ask first."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import PlatformProcess
from docs.pages import ADMIN

from .chromium import PASSWORD, open_page, sign_in_to_admin
from .test_accessibility import MODES, findings_here, serious_findings

pytestmark = pytest.mark.browser

LISTS = {label: f"/admin/{label.replace('.', '/')}/" for label in ADMIN}
MODELS = LISTS["models_registry.registeredmodel"]
FORMS = {
    "question": "/admin/control/platformstatus/1/halt",
    "question with a form": f"{MODELS}1/keep",
    "history": f"{MODELS}1/history/",
    "deletion": "/admin/accounts/user/2/delete/",
    "password": "/admin/accounts/user/2/password/",
    "new user": "/admin/accounts/user/add/",
    "new group": "/admin/auth/group/add/",
    "new address": "/admin/account/emailaddress/add/",
    "app": "/admin/training/",
}
FIRST_ROW = "#result_list a[href*='/change/']"
SEED = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from tests.factories import *
from allauth.account.models import EmailAddress
from core.models import PeriodicTask
from knox.models import AuthToken
from documents.models import OutboxEntry, OverruledChange, PublishedEntry
from documents.publish import publish_waiting
from inference.models import Batch, ModelUsage
from models_registry.models import AliasMove
from training.examples.models import Edit, Example, Revision
from training.models import WorkerHeartbeat
User.objects.create_superuser("root", "root@example.org", "{password}")
User.objects.create_user("leaver")
now = timezone.now()
model = ArtifactFactory(model__name="Owls").model
TrainingJobFactory(name="Owls", state="succeeded", finished_at=now, started_at=now, registered_model=model)
TrainingJobFactory(name="Cats", state="failed", finished_at=now, message="Add a class.")
TrainingJobFactory(name="Dogs", state="queued")
TrainingJobFactory(
    name="Birds", state="running", started_at=now, worker="w1", lease_expires_at=now + timedelta(hours=1),
    progress={{"phase": "features", "done": 3, "total": 7}},
)
NetworkFetchFactory()
AliasMove.objects.create(project=model.project, name="production", to_model=model, kind="first")
project, owner = model.project, model.owner
Revision.objects.create(
    project=project, number=1, key="1.parquet", size=9, sha256="a" * 64, examples=1, summary="As it came"
)
Example.objects.create(project=project, shard=DatasetFactory(owner=owner), place="1.jpg", sha256="b" * 64, label="owl")
Edit.objects.create(
    project=project, number=1, author=owner, kind="relabel", summary="1 example now owl", examples=1, changes=[]
)
EvaluationFactory(model=model, state="succeeded", finished_at=now)
Batch.objects.create(model=model, source_name="a.zip", suffix=".zip", size=1, total=10, done=3)
ModelUsage.objects.create(model=model, day=now.date(), calls=3, inputs=9, milliseconds=70, last_used_at=now)
WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now, ready=True)
AuthToken.objects.create(user=model.owner)
EmailAddress.objects.create(user=model.owner, email="owner@example.org")
PeriodicTask.objects.create(name="sweep files", started_at=now, succeeded_at=now)
publish_waiting()
OverruledChange.objects.create(document="status.json", field="token", value='"mine"', winner="database")
PublishedEntry.objects.create(document="inference.json", name="strange", text="{{}}", problem="No name.")
OutboxEntry.objects.create(document="cleanup.json")
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """A web process with some rows; nobody works on them."""
    platform = PlatformProcess(tmp_path_factory.mktemp("admin") / "home", web=False, worker=False)
    with platform:
        platform.manage("shell", "-c", SEED.format(password=PASSWORD))
        platform.start_web()
        yield platform


@pytest.fixture(
    params=[pytest.param(mode, marks=pytest.mark.long if mode == "dark" else ()) for mode in MODES]
)
def page(
    request: pytest.FixtureRequest, platform: PlatformProcess, chromium_browser: Browser
) -> Iterator[Page]:
    with open_page(chromium_browser, platform.base_url, **MODES[request.param]) as page:
        sign_in(page)
        yield page


def sign_in(page: Page) -> None:
    sign_in_to_admin(page, "root")


def test_lists_and_rows_are_accessible_and_fit_into_the_window(page: Page) -> None:
    for label, (listed, _row) in ADMIN.items():
        assert serious_findings(page, LISTS[label]) == []
        assert fits(page), page.url
        if listed is not None:
            page.locator(FIRST_ROW).first.click()
            page.wait_for_url("**/change/**")
            assert findings_here(page) == []
            assert fits(page), page.url


def test_other_pages_are_accessible_and_fit_into_the_window(page: Page) -> None:
    for path in [*FORMS.values(), "/admin/"]:
        assert serious_findings(page, path) == []
        assert fits(page), path


def test_way_in_and_out_is_everybodys_and_accessible(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    for mode in MODES.values():
        with open_page(chromium_browser, platform.base_url, **mode) as page:
            page.goto("/admin/")
            assert "/accounts/login/" in page.url
            assert findings_here(page) == []
            sign_in(page)
            page.locator("form[action$='/logout/']").first.evaluate("form => form.submit()")
            page.wait_for_url("**/admin/logout/")
            assert findings_here(page) == []


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_choice_of_a_list_is_asked_about_and_done(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES["light"]) as page:
        sign_in(page)
        page.goto(f"{MODELS}?q=owls")
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
        expect(dashboard).to_contain_text("Extracting features, 3 of 7")
        platform.manage(
            "shell",
            "-c",
            "from training.models import TrainingJob; "
            "TrainingJob.objects.filter(name='Birds').update(progress={'phase': 'export'})",
        )
        expect(dashboard).to_contain_text("Exporting the files")


def test_list_of_workers_renews_itself(platform: PlatformProcess, chromium_browser: Browser) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES["light"]) as page:
        sign_in(page)
        page.goto(LISTS["training.workerheartbeat"])
        page.evaluate("document.activeElement.blur()")
        rows = page.locator("#result_list tbody")
        expect(rows).to_have_count(1)
        platform.manage(
            "shell",
            "-c",
            "from django.utils import timezone; from training.models import WorkerHeartbeat; "
            "now = timezone.now(); "
            "WorkerHeartbeat.objects.create(name='w2', queues=['gpu'], started_at=now, seen_at=now)",
        )
        expect(rows).to_have_count(2)
        expect(rows.last).to_contain_text("GPU")
        expect(page.get_by_text("2 workers")).to_be_visible()
