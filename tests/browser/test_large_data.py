"""Large data on the page of a new model: sent, checked by a worker, and on to the model by itself."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import PlatformProcess
from tests.tiny_models import picture

from .chromium import hand_in, open_page, sign_up
from .test_accessibility import findings_here

pytestmark = pytest.mark.browser

CHECKED_WITHIN = 120_000  # milliseconds
IS_CHECKED = "Your data has arrived and is being checked."


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """A platform whose web process looks at no more than five files, still without a worker."""
    home = tmp_path_factory.mktemp("careful") / "home"
    with PlatformProcess(home, env={"VALIDATE_IN_WEB_FILES": "5"}, worker=False) as platform:
        yield platform


@pytest.fixture
def page(careful: PlatformProcess, chromium_browser: Browser) -> Iterator[Page]:
    with open_page(
        chromium_browser, careful.base_url, viewport={"width": 390, "height": 844}, color_scheme="dark"
    ) as page:
        yield page


def photos(path: Path, *classes: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for label in classes:
            for number in range(6):
                archive.writestr(f"{label}/{number}.png", picture(f"rgb({number}, {len(label)}, 9)"))
    return path


def test_large_data_is_checked_in_the_background(
    careful: PlatformProcess, page: Page, tmp_path: Path
) -> None:
    sign_up(page, "ada")
    hand_in(page, photos(tmp_path / "garden.zip", "daisy", "iris"))
    expect(page.get_by_text(IS_CHECKED)).to_be_visible()
    expect(page.get_by_text("No worker is running that could check this data.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/new/\?dataset=\d+$"))
    assert findings_here(page) == []
    address = page.url
    page.goto("/datasets/")  # one may leave
    expect(page.get_by_text("Being checked")).to_be_visible()
    page.get_by_role("link", name="Garden", exact=True).click()
    expect(page.get_by_role("heading", name="Validation in progress")).to_be_visible()
    assert findings_here(page) == []
    page.goto(address)
    expect(page.get_by_text(IS_CHECKED)).to_be_visible()
    page.evaluate("window.untouched = true")

    careful.start_worker("--queues", "batches", wait_until_warm=False)
    expect(page.get_by_role("button", name="Start training")).to_be_visible(timeout=CHECKED_WITHIN)
    expect(page).to_have_url(address)
    assert page.evaluate("window.untouched === undefined"), "the page was loaded anew, and stopped asking"

    page.goto("/new/")
    page.route("**/datasets/plan/", lambda route: route.fulfill(status=404))  # else the page tells at once
    hand_in(page, photos(tmp_path / "lonely.zip", "daisy"))
    expect(page.get_by_text(IS_CHECKED)).to_be_visible()
    expect(page.get_by_role("alert").get_by_text("There is only one class")).to_be_visible(
        timeout=CHECKED_WITHIN
    )
    expect(page.get_by_role("heading", name="Validation report: lonely.zip")).to_be_visible()
    expect(page.locator("#data-form")).to_be_visible()


def test_large_data_can_be_stopped(page: Page, tmp_path: Path, careful: PlatformProcess) -> None:
    careful.stop_worker()
    sign_up(page, "bob")
    hand_in(page, photos(tmp_path / "garden.zip", "daisy", "iris"))
    page.get_by_role("button", name="Stop and delete the data").click()
    expect(page.get_by_text("Garden is deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="No data sets yet")).to_be_visible()
