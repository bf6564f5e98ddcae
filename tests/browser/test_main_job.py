"""The main job as a person does it: sign up, fill in the form, watch, try the model."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.platform_process import ROOT, PlatformProcess

from .chromium import open_page, sign_up

pytestmark = pytest.mark.browser

SAMPLES = ROOT / "samples"
DIGIT = SAMPLES / "digits_new" / "5.png"
SENTENCE = "I am still waiting for my new card to arrive in the post"
TRAINED_WITHIN = 120_000  # milliseconds
MODEL_ADDRESS = re.compile(r"/models/(image|text)Classification-")


@pytest.fixture
def page(platform: PlatformProcess, chromium_browser: Browser) -> Iterator[Page]:
    with open_page(chromium_browser, platform.base_url) as page:
        yield page


def submit(page: Page, task: str, file: Path, name: str) -> None:
    page.get_by_role("radio", name=task).check()
    page.get_by_label("Name of the model").fill(name)
    page.locator("#id_file").set_input_files(file)
    page.get_by_role("button", name="Start training").click()


def test_photos_from_the_form_to_a_prediction(page: Page) -> None:
    sign_up(page, "photographer")
    submit(page, "Images", SAMPLES / "digits.zip", "Digits")
    page.wait_for_url("**/jobs/*/")
    expect(page.get_by_role("heading", name="Digits")).to_be_visible()
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    expect(page.get_by_text("Digits is live.")).to_be_visible()

    page.locator("#id_try_file").set_input_files([DIGIT, SAMPLES / "digits_new" / "7.png"])
    labels = page.locator(".prediction-label")
    expect(labels).to_have_text(["5", "7"])
    preview = page.locator(".prediction-image").first
    expect(preview).to_be_visible()
    assert preview.evaluate("image => image.complete && image.naturalWidth") > 0

    with page.expect_download() as download:
        page.get_by_role("link", name="ONNX").click()
    assert download.value.suggested_filename.endswith(".onnx")
    assert download.value.path().stat().st_size > 1_000_000

    page.get_by_role("link", name="My models").click()
    expect(page.get_by_role("link", name="Digits")).to_be_visible()
    page.get_by_role("link", name="My jobs").click()
    expect(page.get_by_text("Succeeded")).to_be_visible()


def test_sentences_from_the_form_to_a_prediction(page: Page) -> None:
    sign_up(page, "writer")
    submit(page, "Texts", SAMPLES / "banking.csv", "Banking")
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    page.get_by_label("Sentences").fill(f"{SENTENCE}\n\nWhat is your exchange rate?")
    page.get_by_role("button", name="Classify", exact=True).click()
    expect(page.locator(".prediction-label")).to_have_text(["card_arrival", "exchange_rate"])

    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This model is deleted")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Banking is live again.")).to_be_visible()


def test_form_with_bad_data_says_why_and_forgets_nothing(page: Page, tmp_path: Path) -> None:
    sign_up(page, "beginner")
    table = tmp_path / "my_table.csv"
    table.write_text("input,label\none,same\ntwo,same\n")
    page.locator("#id_file").set_input_files(table)
    expect(page.get_by_role("radio", name="Texts")).to_be_checked()
    expect(page.get_by_label("Name of the model")).to_have_value("My table")
    page.get_by_text("Advanced").click()
    page.get_by_label("Seed").fill("11")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("alert").filter(has_text="two classes")).to_be_focused()
    expect(page.get_by_label("Name of the model")).to_have_value("My table")
    expect(page.locator("#id_seed")).to_have_value("11")
    assert page.locator("#id_file").evaluate("input => input.files[0].name") == "my_table.csv"

    table.write_text(
        "input,label\n" + "".join(f"{word} {n},{word}\n" for n in range(9) for word in ("up", "down"))
    )
    page.locator("#id_file").set_input_files(table)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/jobs/*/")


def test_main_job_without_javascript(platform: PlatformProcess, chromium_browser: Browser) -> None:
    with open_page(chromium_browser, platform.base_url, java_script_enabled=False) as page:
        sign_up(page, "purist")
        submit(page, "Texts", SAMPLES / "banking.csv", "Plain")
        page.wait_for_url("**/jobs/*/")
        link = page.get_by_role("link", name="Try the model")
        for _ in range(120):
            if link.count():
                break
            page.wait_for_timeout(1000)
            page.reload()
        link.click()
        page.get_by_label("Sentences").fill(SENTENCE)
        page.get_by_role("button", name="Classify", exact=True).click()
        expect(page.locator(".prediction-label")).to_have_text("card_arrival")
