"""axe-core finds nothing serious on any page, in the light, in the dark and on a phone."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.platform_process import ROOT, PlatformProcess

from .chromium import open_page, sign_up

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js")
MODES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
STRANGERS = ("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/")
MEMBERS = ("/new/", "/jobs/", "/models/", "/accounts/password/change/")


@pytest.fixture(scope="module")
def model_address(platform: PlatformProcess) -> str:
    """A model's page, which whoever has the token may see."""
    data = str(ROOT / "samples" / "banking.csv")
    command = ["submit", "--task", "textclassification", "--data", data, "--name", "Banking", "--wait"]
    return f"/models/{platform.manage_json(*command)['token']}/"


@pytest.fixture(params=list(MODES))
def page(
    request: pytest.FixtureRequest, platform: PlatformProcess, chromium_browser: Browser
) -> Iterator[Page]:
    with open_page(chromium_browser, platform.base_url, **MODES[request.param]) as page:
        yield page


def serious_findings(page: Page, path: str) -> list[str]:
    """Open a page and return what keeps somebody from using it: rule, and the first element that breaks it."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.evaluate(AXE.read_text())
    report = page.evaluate("axe.run()")
    assert len(report["passes"]) > 5, "it has looked at the page"
    return [
        f"{path}: {finding['id']} ({finding['impact']}): {finding['nodes'][0]['html'][:200]}"
        for finding in report["violations"]
        if finding["impact"] in ("serious", "critical")
    ]


def test_pages_for_strangers(page: Page) -> None:
    assert [finding for path in STRANGERS for finding in serious_findings(page, path)] == []


def test_pages_for_members(page: Page, request: pytest.FixtureRequest) -> None:
    sign_up(page, f"member-{request.node.callspec.id}")
    assert [finding for path in MEMBERS for finding in serious_findings(page, path)] == []


def test_page_of_a_model(page: Page, model_address: str) -> None:
    assert serious_findings(page, model_address) == []
