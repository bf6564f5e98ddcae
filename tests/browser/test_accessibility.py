"""axe-core finds nothing serious on any page, in the light, in the dark and on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import PlatformProcess

from . import errors
from .accessibility import findings_here
from .chromium import hand_in, open_page, sign_in, sign_up

pytestmark = pytest.mark.browser

MODES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
TRAINED_WITHIN = 120_000  # milliseconds
STRANGERS = (
    "/",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/inactive/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/old/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-old/",
    "/accounts/password/reset/key/done/",
)
MEMBERS = (
    "/new/",
    "/jobs/",
    "/projects/",
    "/models/?q=nothing",
    "/datasets/",
    "/batches/",
    "/expiring/",
    "/accounts/password/change/",
    "/accounts/email/",
    "/accounts/tokens/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
)


@pytest.fixture(scope="module")
def pages_of_a_model(
    platform: PlatformProcess, chromium_browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[str]]:
    """Somebody, and the pages around a model of theirs, from its data to its card and a batch."""
    with open_page(chromium_browser, platform.base_url) as page:
        owner = sign_up(page, "owner")
        page.get_by_role("button", name="Questions to a bank").click()
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url("**/jobs/*/")
        job = page.url.removeprefix(platform.base_url)
        page.wait_for_url("**/models/*/", timeout=TRAINED_WITHIN)
        model = page.url.removeprefix(platform.base_url)
        data = page.get_by_role("link", name="Validation report").get_attribute("href")
        examples = page.get_by_role("link", name="Mend the examples").get_attribute("href")
        table = tmp_path_factory.mktemp("batch") / "questions.csv"
        table.write_text("input\nWhere is my card?\n\nWhat is the exchange rate?\n")
        page.locator("#id_batch_file").set_input_files(table)
        page.get_by_role("button", name="Classify the file").click()
        page.get_by_role("link", name="Download the CSV").wait_for()
        batch = page.url.removeprefix(platform.base_url)
    assert data
    number = data.strip("/").split("/")[-1]
    lists = ["/datasets/", "/jobs/", "/projects/", "/batches/"]
    mended = [str(examples), f"{examples}?show=doubt"]
    return owner, [model, f"{model}card/", job, data, *mended, f"/new/?dataset={number}", batch, *lists]


@pytest.fixture(params=list(MODES))
def page(
    request: pytest.FixtureRequest, platform: PlatformProcess, chromium_browser: Browser
) -> Iterator[Page]:
    with open_page(chromium_browser, platform.base_url, **MODES[request.param]) as page:
        yield page


def serious_findings(page: Page, path: str) -> list[str]:
    """Open a page and return what keeps somebody from using it: rule, and the first element that breaks it."""
    page.goto(path)
    return findings_here(page)


def test_pages_for_strangers(page: Page) -> None:
    assert [finding for path in STRANGERS for finding in serious_findings(page, path)] == []


def test_pages_for_members(page: Page, request: pytest.FixtureRequest) -> None:
    sign_up(page, f"member-{request.node.callspec.id}")
    assert [finding for path in MEMBERS for finding in serious_findings(page, path)] == []


def test_pages_of_a_model(page: Page, pages_of_a_model: tuple[str, list[str]]) -> None:
    owner, paths = pages_of_a_model
    sign_in(page, owner)
    assert [finding for path in paths for finding in serious_findings(page, path)] == []


def test_forms_that_say_what_is_wrong(page: Page, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    sign_up(page, f"mistaken-{request.node.callspec.id}")
    table = tmp_path / "odd.csv"
    table.write_text("utterings,kind,remarks\na b,x,c d\nb c,y,e f\n")
    page.locator("#id_file").set_input_files(table)
    expect(page.locator("[data-plan=verdict].note-stop")).to_be_visible()
    assert findings_here(page) == []
    page.route("**/datasets/plan/", lambda route: route.fulfill(status=404))  # then only the upload tells
    table = tmp_path / "few.csv"
    table.write_text("input,label\na,x\nb,y\n")
    hand_in(page, table)
    page.get_by_role("heading", name="Validation report").wait_for()
    assert findings_here(page) == []


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """A platform of its own, from which parts can be taken away."""
    platform = PlatformProcess(tmp_path_factory.mktemp("failing") / "home", web=False, worker=False)
    with platform:
        errors.prepare_errors(platform)
        platform.manage("shell", "-c", SERVED.format(token=TOKEN))
        platform.start_web()
        yield platform


TOKEN = f"textClassification-served-{'1' * 32}"
SERVED = """
from tests.factories import ArtifactFactory
ArtifactFactory(model__task_type="textclassification", model__token="{token}")
"""


@pytest.fixture(params=list(MODES))
def failing_page(
    request: pytest.FixtureRequest, failing: PlatformProcess, chromium_browser: Browser
) -> Iterator[Page]:
    with open_page(
        chromium_browser, failing.base_url, answers=errors.ANSWERS, **MODES[request.param]
    ) as page:
        yield page


def test_errors_of_a_platform_that_is_well(failing_page: Page) -> None:
    for template, provoke in errors.ERRORS.items():
        failing_page.context.clear_cookies()
        provoke(failing_page)
        assert_error_page(failing_page, template.split(".")[0].split("_")[0])


def test_errors_of_a_platform_that_is_not(failing_page: Page, failing: PlatformProcess) -> None:
    with errors.bucket_away(failing):
        errors.download(failing_page, TOKEN)
        assert_error_page(failing_page, "503", "cannot be fetched from the bucket now")
    with errors.halted(failing):
        errors.classify_a_file(failing_page, TOKEN)
        assert_error_page(failing_page, "503", "halted for maintenance")
    with errors.tables_away(failing):
        errors.be_known(failing_page, failing)
        failing_page.goto("/projects/")
        assert_error_page(failing_page, "500", "The fault is on our side")
    failing.start_web()


def assert_error_page(page: Page, code: str, words: str = "") -> None:
    """The page names the code, says what happened, leads on, and can be used by everybody."""
    expect(page.locator(".error-page")).to_contain_text(code)
    expect(page.locator(".error-page")).to_contain_text(words)
    expect(page.get_by_role("link", name="To the front page")).to_be_visible()
    assert findings_here(page) == []
