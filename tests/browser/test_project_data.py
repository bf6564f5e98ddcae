"""Wrong labels mended by keyboard and learnt from: the data page in a real browser."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import ROOT, PlatformProcess

from .accessibility import findings_here
from .chromium import hand_in, open_page, sign_up

pytestmark = pytest.mark.browser

TRAINED_WITHIN = 120_000  # milliseconds


def with_wrong_labels(path: Path) -> int:
    """Write the sample with every twentieth label wrong; returns how many."""
    with (ROOT / "samples" / "banking.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    wrong = rows[::20]
    for row in wrong:
        row["label"] = classes[(classes.index(row["label"]) + 1) % len(classes)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("input", "label"), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return len(wrong)


def test_wrong_labels_are_mended_by_keyboard_and_trained_on(
    platform: PlatformProcess, chromium_browser: Browser, tmp_path: Path
) -> None:
    wrong = with_wrong_labels(tmp_path / "bank.csv")
    with open_page(chromium_browser, platform.base_url) as page:
        sign_up(page, "mender")
        page.goto("/new/")
        hand_in(page, tmp_path / "bank.csv")
        page.get_by_label("Name of the model").fill("Bank")
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url("**/models/*/", timeout=TRAINED_WITHIN)
        page.get_by_role("link", name="Mend the examples").click()
        data = page.url
        page.goto(f"{data}?show=doubt")
        examples = page.locator("[data-example]")
        listed = examples.count()
        assert listed >= 0.8 * min(wrong, 60)
        page.keyboard.press("j")
        page.keyboard.press("t")
        expect(page.get_by_text("1 example now as suggested.").first).to_be_visible()
        expect(examples).to_have_count(listed - 1)
        page.keyboard.press("x")
        expect(page.get_by_text("1 example excluded.").first).to_be_visible()
        page.keyboard.press("u")
        expect(page.get_by_text("Taken back: 1 example excluded.").first).to_be_visible()
        expect(examples).to_have_count(listed - 1)
        page.get_by_label("Take all suggestions").fill("0")
        page.get_by_role("button", name="Take all", exact=True).click()
        expect(page.get_by_role("heading", name="No label looks wrong")).to_be_visible()
        page.get_by_role("button", name="Train again").click()
        page.wait_for_url("**/models/*/", timeout=TRAINED_WITHIN)
        page.goto(data)
        expect(page.get_by_text("(revision 2)")).to_be_visible()
        compare_and_promote(page)


def compare_and_promote(page: Page) -> None:
    """From the data of a project with two versions: one click compares them, one promotes the second; on a phone."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("link", name="Versions").click()
    assert findings_here(page) == []
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="What the comparison says").wait_for()
    expect(page.get_by_text("that none of these answers has learnt from")).to_be_visible()
    assert findings_here(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Promote version 2").click()
    expect(page.get_by_text("Version 2 is in production.")).to_be_visible()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
