"""The main job as a person does it: sign up, hand in data, read what was found, start, watch, try the model."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import ROOT, PlatformProcess

from .chromium import PASSWORD, hand_in, open_page, sign_up

pytestmark = pytest.mark.browser

SAMPLES = ROOT / "samples"
DIGIT = SAMPLES / "digits_new" / "5.png"
SENTENCE = "I am still waiting for my new card to arrive in the post"
TRAINED_WITHIN = 120_000  # milliseconds
FIRST_TIME_WITHIN = 90.0  # seconds from the front page to a prediction
CLICKS = 8
MODEL_ADDRESS = re.compile(r"/models/(image|text)Classification-")
WORDS = ("up", "down")


@pytest.fixture
def page(platform: PlatformProcess, chromium_browser: Browser) -> Iterator[Page]:
    with open_page(chromium_browser, platform.base_url) as page:
        yield page


def start(page: Page, name: str) -> None:
    page.get_by_label("Name of the model").fill(name)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/jobs/*/")


def small_table(path: Path, heading: str = "input,label") -> Path:
    path.write_text(f"{heading}\n" + "".join(f"{word} {n},{word}\n" for n in range(12) for word in WORDS))
    return path


def test_first_time_takes_eight_clicks_at_most(page: Page) -> None:
    """From the front page to a prediction; typing, and choosing files in the system's dialog, are no clicks."""
    began, clicks = time.monotonic(), 0

    def click(role: str, name: str) -> None:
        nonlocal clicks
        clicks += 1
        page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]

    def choose(zone: str, file: Path) -> None:
        nonlocal clicks
        clicks += 1
        with page.expect_file_chooser() as dialog:
            page.locator(zone).click()
        dialog.value.set_files(file)

    page.goto("/")
    click("link", "Create an account")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("newcomer")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    click("button", "Create an account")
    choose("#file-zone", SAMPLES / "digits.zip")
    expect(page.get_by_text("10 classes, 400 photos. Looks good.")).to_be_visible()
    click("button", "Upload")
    expect(page.get_by_text("Every example could be read")).to_be_visible()
    expect(page.get_by_alt_text("An example of 7").first).to_be_visible()
    click("button", "Start training")
    page.wait_for_url("**/jobs/*/")
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    choose("#try-it .dropzone", DIGIT)
    expect(page.locator(".prediction-label").first).to_have_text("5")
    assert clicks <= CLICKS
    assert time.monotonic() - began <= FIRST_TIME_WITHIN


def test_photos_from_the_form_to_a_prediction(page: Page, tmp_path: Path) -> None:
    sign_up(page, "photographer")
    hand_in(page, SAMPLES / "digits.zip")
    expect(page.locator("[data-sum=split]")).to_have_text("280 for training, 120 for validation")
    start(page, "Digits")
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
        page.get_by_role("link", name="ONNX").first.click()
    assert download.value.suggested_filename.endswith(".onnx")
    assert download.value.path().stat().st_size > 1_000_000
    assert run_program(page, "python", tmp_path, photo=DIGIT).startswith("5 ")
    download.value.save_as(tmp_path / download.value.suggested_filename)
    assert run_program(page, "onnx", tmp_path, photo=DIGIT).startswith("photo.jpg 5 ")

    page.get_by_role("link", name="My projects").click()
    expect(page.get_by_role("link", name="Digits")).to_be_visible()
    page.get_by_role("link", name="My jobs").click()
    expect(page.get_by_text("Succeeded").last).to_be_visible()


def test_upload_can_be_stopped_and_sent_again(page: Page, tmp_path: Path) -> None:
    sign_up(page, "hesitant")
    page.route("**/new/data/", lambda route: None)  # it stays on its way
    hand_in(page, small_table(tmp_path / "words.csv"))
    page.get_by_role("button", name="Stop").click()
    again = page.get_by_role("button", name="Upload")
    expect(again).to_be_visible()
    page.unroute_all()
    again.click()
    expect(page.get_by_role("button", name="Start training")).to_be_visible()


def run_program(page: Page, key: str, folder: Path, *, photo: Path | None = None) -> str:
    """Run a program of a model's page as it stands there, in a folder with the files that it names."""
    code = page.locator(f"#snippet-{key}").text_content()
    assert code
    if photo:
        shutil.copy(photo, folder / "photo.jpg")
    command = [sys.executable, "-c", code] if key != "curl" else ["bash", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_folders_and_loose_photos_become_classes(page: Page, tmp_path: Path) -> None:
    sign_up(page, "sorter")
    for number, name in enumerate(("sun", "moon")):
        folder = tmp_path / "sky" / name
        folder.mkdir(parents=True)
        for shade in range(12):
            draw(folder / f"{shade}.png", (250 * number, 20 * shade, 90))
    loose = [draw(tmp_path / f"star {shade}.png", (40, 10 * shade, 255)) for shade in range(12)]
    page.locator("#folder").set_input_files(tmp_path / "sky")
    page.locator("#id_file").set_input_files(loose)
    name = page.get_by_label("Name of the class").last
    expect(name).to_be_focused()
    name.fill("sun/moon")
    expect(page.get_by_text("Give every class a name without a slash.")).to_be_visible()
    expect(page.get_by_role("button", name="Upload")).to_be_disabled()
    name.fill("star")
    expect(page.get_by_role("button", name="star 12")).to_be_visible()
    expect(page.get_by_text("3 classes, 36 photos. Looks good.")).to_be_visible()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("sky.zip")).to_be_visible()
    for label in ("sun", "moon", "star"):
        expect(page.get_by_alt_text(f"An example of {label}")).to_have_count(3)


def test_reload_says_which_photos_to_choose_again(page: Page, tmp_path: Path) -> None:
    sign_up(page, "reloader")
    for name in ("sun", "moon"):
        photos = [draw(tmp_path / f"{name} {shade}.png", (250, 20 * shade, 90)) for shade in range(5)]
        page.locator("#id_file").set_input_files(photos)
        page.get_by_label("Name of the class").last.fill(name)
        expect(page.get_by_role("button", name=f"{name} 5")).to_be_visible()
    page.reload()
    told = page.locator("#forgotten")
    expect(told).to_contain_text("Choose your photos again.")
    expect(told.get_by_role("listitem")).to_have_text(
        [
            f"{name}: 5 photos, " + ", ".join(f"{name} {n}.png" for n in range(4)) + " …"
            for name in ("moon", "sun")
        ]
    )
    page.locator("#id_file").set_input_files(photos)
    expect(told).to_be_hidden()
    page.get_by_role("button", name="Remove").click()
    page.reload()
    expect(told).to_be_hidden()


REMOVE_WHEN_IT_APPEARS = """() => new MutationObserver((_, observer) => {
  const button = [...document.querySelectorAll("#plan button")].find(({ textContent }) => textContent === "Remove");
  if (!button) return;
  observer.disconnect();
  button.click();
}).observe(document.getElementById("plan"), { childList: true, subtree: true })"""


def test_class_removed_while_its_photos_are_read_is_gone(page: Page, tmp_path: Path) -> None:
    sign_up(page, "hasty")
    photos = [draw(tmp_path / f"{number}.png", (250, number, 90)) for number in range(150)]
    page.evaluate(REMOVE_WHEN_IT_APPEARS)
    page.locator("#id_file").set_input_files(photos)
    expect(page.locator("#plan")).to_be_hidden()
    expect(page.locator("#id_file")).to_be_focused()
    expect(page.locator("#file-complaint")).to_be_empty()
    page.locator("#id_file").set_input_files(photos[:7])
    page.get_by_label("Name of the class").last.fill("sun")
    expect(page.get_by_role("button", name="sun 7")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    page.reload()
    expect(page.locator("#forgotten")).to_be_hidden()


def draw(path: Path, colour: tuple[int, int, int]) -> Path:
    from PIL import Image

    Image.new("RGB", (16, 16), colour).save(path)
    return path


DROP = """(zone, text) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], "odd.csv", { type: "text/csv" }));
  for (const type of ["dragenter", "dragover", "drop"])
    zone.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_columns_of_a_dropped_table_are_asked_for_when_they_cannot_be_guessed(
    page: Page, tmp_path: Path
) -> None:
    sign_up(page, "namer")
    rows = small_table(tmp_path / "odd.csv").read_text().splitlines()[1:]
    remarked = (f"{row},remark number {number}" for number, row in enumerate(rows))
    table = "\n".join(["utterings,kind,remarks", *remarked])  # two columns read like texts
    page.locator("#file-zone").evaluate(DROP, table)
    expect(page.locator("[data-plan=verdict]")).to_contain_text("utterings")
    expect(page.get_by_role("button", name="Upload")).to_be_disabled()
    page.locator("#plan-input").select_option("utterings")
    page.locator("#plan-label").select_option("kind")
    expect(page.get_by_text("2 classes, 24 sentences.")).to_be_visible()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("sentences from utterings, labels from kind")).to_be_visible()


def test_what_was_filled_in_survives_errors_and_a_reload(page: Page, tmp_path: Path) -> None:
    sign_up(page, "beginner")
    table = tmp_path / "my_table.csv"
    table.write_text("input,label\none,same\ntwo,same\n")
    page.locator("#id_file").set_input_files(table)
    expect(page.locator("[data-plan=verdict]")).to_contain_text("two classes")
    expect(page.get_by_role("button", name="Upload")).to_be_disabled()

    with page.expect_file_chooser() as dialog:
        page.locator("#file-zone").click()
    dialog.value.set_files(small_table(table))  # the same file, mended
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_label("Name of the model")).to_have_value("My table")
    page.get_by_role("radio", name="Accurate").check()
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Seed").fill("11")
    page.get_by_label("Training split, in percent").fill("99")
    page.get_by_label("Training split, in percent").evaluate("field => field.removeAttribute('max')")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("less than or equal to 95")).to_be_visible()
    expect(page.get_by_label("Seed")).to_have_value("11")
    page.get_by_label("Training split, in percent").fill("60")
    page.reload()
    expect(page.get_by_role("radio", name="Accurate")).to_be_checked()
    page.get_by_text("Advanced", exact=True).click()
    expect(page.get_by_label("Seed")).to_have_value("11")
    expect(page.get_by_label("Training split, in percent")).to_have_value("60")
    expect(page.locator("[data-sum=name]")).to_have_text("My table")


def test_session_that_ended_meanwhile_costs_nothing(page: Page, tmp_path: Path) -> None:
    name = sign_up(page, "sleeper")
    hand_in(page, small_table(tmp_path / "words.csv"))
    page.get_by_label("Name of the model").fill("Slept over")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Start training").click()
    page.locator("#id_login").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Name of the model")).to_have_value("Slept over")


def test_sentences_by_keyboard_alone(page: Page) -> None:
    """No pointer: Tab, Space and Enter lead from the front page to a prediction and to deleting and undoing."""
    page.goto("/")
    tab_to(page, "Create an account")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("typist")
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/")
    tab_to(page, "Questions to a bank")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/?dataset=*")
    tab_to(page, "Name of the model")
    page.keyboard.type(" by hand")
    tab_to(page, "Fast")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Accurate")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    tab_to(page, "Start training")
    page.keyboard.press("Enter")
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    tab_to(page, "Sentences, one on each line")
    page.keyboard.type(SENTENCE)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".prediction-label").first).to_have_text("card_arrival")
    delete_and_undo_by_keyboard(page)


def delete_and_undo_by_keyboard(page: Page) -> None:
    """Delete the model whose page is open, find it in the list, and bring it back: there, then on its own page."""
    for key in ("Enter", "Space"):
        tab_to(page, "Delete")
        page.keyboard.press(key)
        expect(page.get_by_text("This model is deleted")).to_be_visible()
        tab_to(page, "Restore")
        page.keyboard.press(key)
        expect(page.get_by_text("is live again.")).to_be_visible()
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This model is deleted")).to_be_visible()
    tab_to(page, "My projects")
    page.keyboard.press("Enter")
    page.wait_for_url("**/projects/")
    expect(page.locator(".model-card .state")).to_have_text("Deleted")
    tab_to(page, "Restore")
    page.keyboard.press("Enter")
    expect(page.get_by_text("is live again.")).to_be_visible()


def test_photos_by_keyboard_alone(page: Page) -> None:
    """Nothing but keys; the system's own dialog for files is the system's."""
    # Whoever listens from the beginning is heard: a key is faster than Playwright's switch for dialogs.
    page.on("filechooser", lambda dialog: None)
    sign_up(page, "typist-of-photos")
    tab_to(page, "Your data")
    with page.expect_file_chooser() as dialog:
        page.keyboard.press("Enter")
    dialog.value.set_files(SAMPLES / "digits.zip")
    expect(page.locator("#send")).to_be_enabled()
    tab_to(page, "Upload")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start training")).to_be_visible(timeout=TRAINED_WITHIN)
    tab_to(page, "Start training")
    page.keyboard.press("Space")
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    tab_to(page, "Drop photos here, or choose them")
    with page.expect_file_chooser() as dialog:
        page.keyboard.press("Enter")
    dialog.value.set_files(DIGIT)
    expect(page.locator(".prediction-label").first).to_have_text("5")
    delete_and_undo_by_keyboard(page)


NAME_OF_FOCUS = """() => {
  const at = document.activeElement;
  const words = at.getAttribute("aria-label")
    ?? (at.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent).join(" ");
  const label = words || [...(at.labels ?? [])].map((one) => one.textContent).join(" ") || at.textContent;
  return label.replace(/\\s+/g, " ").trim();
}"""


def tab_to(page: Page, name: str, *, most: int = 90) -> None:
    """Press Tab until what has the focus begins with a name; it must be seen to have it."""
    page.wait_for_load_state("networkidle")
    for _ in range(most):
        if page.evaluate(NAME_OF_FOCUS).startswith(name):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name!r} is not reached by Tab; the last was {page.evaluate(NAME_OF_FOCUS)!r}")


def test_main_job_without_javascript(
    platform: PlatformProcess, chromium_browser: Browser, tmp_path: Path
) -> None:
    with open_page(chromium_browser, platform.base_url, java_script_enabled=False) as page:
        sign_up(page, "purist")
        page.locator("#id_file").set_input_files(SAMPLES / "banking.csv")
        page.get_by_role("button", name="Check the data").click()
        expect(page.get_by_text("720").first).to_be_visible()
        start(page, "Plain")
        link = page.get_by_role("link", name="Try the model")
        for _ in range(120):
            if link.count():
                break
            page.wait_for_timeout(1000)
            page.reload()
        link.click()
        page.get_by_label("Sentences").fill(SENTENCE)
        page.get_by_role("button", name="Classify", exact=True).click()
        expect(page.locator(".prediction-label").first).to_have_text("card_arrival")
        with page.expect_download() as download:
            page.get_by_role("link", name="ONNX").first.click()
        download.value.save_as(tmp_path / download.value.suggested_filename)
        assert "card_arrival" in run_program(page, "onnx", tmp_path)
        assert '"card_arrival"' in run_program(page, "curl", tmp_path)
