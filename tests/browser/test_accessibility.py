"""axe-core finds nothing serious on any page, in the light, in the dark and on a phone."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.platform_process import PlatformProcess

from .chromium import PASSWORD, open_page, sign_up

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js")
MODES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
TRAINED_WITHIN = 120_000  # milliseconds
STRANGERS = ("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nothing/")
MEMBERS = (
    "/new/",
    "/jobs/",
    "/models/",
    "/models/?q=nothing",
    "/datasets/",
    "/batches/",
    "/accounts/password/change/",
    "/accounts/email/",
    "/accounts/tokens/",
    "/accounts/logout/",
)


OWNER = "owner"


@pytest.fixture(scope="module")
def pages_of_a_model(platform: PlatformProcess, chromium_browser: Browser) -> list[str]:
    """The pages around a model, from its data to its card; made by `OWNER`."""
    with open_page(chromium_browser, platform.base_url) as page:
        sign_up(page, OWNER)
        page.get_by_role("button", name="Questions to a bank").click()
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url("**/jobs/*/")
        job = page.url.removeprefix(platform.base_url)
        page.wait_for_url("**/models/*/", timeout=TRAINED_WITHIN)
        model = page.url.removeprefix(platform.base_url)
        data = page.get_by_role("link", name="What was found in it").get_attribute("href")
    assert data
    number = data.strip("/").split("/")[-1]
    return [model, f"{model}card/", job, data, f"/new/?dataset={number}", "/datasets/", "/jobs/", "/models/"]


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


def findings_here(page: Page) -> list[str]:
    """Return what keeps somebody from using the page that is open, with every part of it unfolded."""
    page.wait_for_load_state("networkidle")
    page.evaluate("for (const fold of document.querySelectorAll('details.fold')) fold.open = true")
    page.evaluate(AXE.read_text())
    report = page.evaluate("axe.run()")
    assert len(report["passes"]) > 5, "it has looked at the page"
    return [
        f"{page.url}: {finding['id']} ({finding['impact']}): {finding['nodes'][0]['html'][:200]}"
        for finding in report["violations"]
        if finding["impact"] in ("serious", "critical")
    ]


def test_pages_for_strangers(page: Page) -> None:
    assert [finding for path in STRANGERS for finding in serious_findings(page, path)] == []


def test_pages_for_members(page: Page, request: pytest.FixtureRequest) -> None:
    sign_up(page, f"member-{request.node.callspec.id}")
    assert [finding for path in MEMBERS for finding in serious_findings(page, path)] == []


def test_pages_of_a_model(page: Page, pages_of_a_model: list[str]) -> None:
    page.goto("/accounts/login/")
    page.locator("#id_login").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/new/")
    assert [finding for path in pages_of_a_model for finding in serious_findings(page, path)] == []


def test_forms_that_say_what_is_wrong(page: Page, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    sign_up(page, f"mistaken-{request.node.callspec.id}")
    table = tmp_path / "odd.csv"
    table.write_text("utterance,kind\na,x\nb,y\n")
    page.locator("#id_file").set_input_files(table)
    page.get_by_role("button", name="Use these columns").wait_for()
    assert findings_here(page) == []
    table = tmp_path / "few.csv"
    table.write_text("input,label\na,x\nb,y\n")
    page.locator("#id_file").set_input_files(table)
    page.get_by_role("heading", name="What was found").wait_for()
    assert findings_here(page) == []
