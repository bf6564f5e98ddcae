"""Write docs/screenshots from the running product; `make screenshots`.

Starts a platform of its own in a temporary home, makes an account, trains a model for each task, and
takes every page wide, on a phone and in the dark.
"""

import io
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.browser.chromium import open_browser, open_page, sign_up  # noqa: E402
from tests.platform_process import PlatformProcess  # noqa: E402

TARGET = ROOT / "docs" / "screenshots"
SAMPLES = ROOT / "samples"
MODEL_ADDRESS = re.compile(r"/models/(image|text)Classification-")
TRAINED_WITHIN = 120_000  # milliseconds
TALLEST = 2400  # pixels; more of a page says nothing more
COLOURS = 256  # a page has few; a palette makes a third of the bytes
MODES = {
    "wide": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
CARD = """Reads **handwritten digits**, one at a time.

It was trained on:
- 400 scans of 8 × 8 pixels
- ten classes, 40 each

Not for letters, and not for numbers of several digits."""
SENTENCES = "I am still waiting for my new card to arrive in the post\nWhat is your exchange rate?"


class Photographer:
    """Takes pages in one mode; `model.png` is wide, `model-dark.png` is not."""

    def __init__(self, page: Page, mode: str) -> None:
        self.page = page
        self.suffix = "" if mode == "wide" else f"-{mode}"

    def take(self, name: str, path: str | None = None) -> None:
        """Save the page that is open, or the one at `path`."""
        if path is not None:
            self.page.goto(path)
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("window.scrollTo(0, 0)")
        content = self.page.screenshot(full_page=True)
        with Image.open(io.BytesIO(content)) as image:
            cut = image.convert("RGB").crop((0, 0, image.width, min(image.height, TALLEST)))
            file = TARGET / f"{name}{self.suffix}.png"
            cut.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
        print(file.relative_to(ROOT), f"{file.stat().st_size // 1000} kB", flush=True)


@contextmanager
def at_work(browser: Browser, platform: PlatformProcess, mode: str) -> Iterator[Photographer]:
    """Open a page of the mode, without anybody signed in."""
    with open_page(browser, platform.base_url, **MODES[mode]) as page:
        yield Photographer(page, mode)


def fill_in(page: Page, file: Path, name: str) -> None:
    """Hand in data for a new model, and fill in the rest once it has been looked at."""
    page.goto("/new/")
    page.locator("#id_file").set_input_files(file)
    page.get_by_label("Name of the model").fill(name)


def start(page: Page) -> None:
    """Send the form, and wait for the job's page."""
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/jobs/*/")


def take_everything(camera: Photographer, mode: str) -> None:
    """Go through the product as its user does."""
    page = camera.page
    take_entrance(camera)
    sign_up(page, f"ada-{mode}")
    for name in ("models", "jobs", "datasets"):
        camera.take(f"{name}-empty", f"/{name}/")
    take_data(camera)
    make_image_model(camera)
    make_text_model(camera)
    for name in ("models", "jobs", "datasets", "batches"):
        camera.take(name, f"/{name}/")
    take_account(camera)


def take_entrance(camera: Photographer) -> None:
    """Take what strangers see, and where nothing is."""
    camera.take("home", "/")
    camera.take("sign-in", "/accounts/login/")
    camera.take("sign-up", "/accounts/signup/")
    camera.take("password-forgotten", "/accounts/password/reset/")
    camera.take("not-found", "/nothing/")


def take_data(camera: Photographer) -> None:
    """Take the first step of a new model in all that may happen there."""
    page = camera.page
    camera.take("new-model", "/new/")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(SAMPLES / "digits.zip") as archive:
            for name in archive.namelist():
                if name.split("/")[-2:-1] in (["3"], ["7"]) and not name.endswith("/"):
                    archive.extract(name, folder)
        page.locator("#folder").set_input_files(folder)
        page.get_by_role("button", name="Check these").wait_for()
        camera.take("new-model-classes")
        page.goto("/new/")
        table = Path(folder, "reviews.csv")
        table.write_text("comment text,mood,stars\nLovely,good,5\nDreadful,bad,1\n")
        page.locator("#id_file").set_input_files(table)
        page.get_by_role("button", name="Use these columns").wait_for()
        camera.take("new-model-columns")
        page.goto("/new/")
        table.write_text("input,label\nLovely,good\nNice,good\nDreadful,bad\n,bad\nOdd,\n")
        page.locator("#id_file").set_input_files(table)
        page.get_by_role("heading", name="What was found").wait_for()
        camera.take("new-model-refused")


def make_image_model(camera: Photographer) -> None:
    """Take the way from a zip of photos to a model's page."""
    page = camera.page
    fill_in(page, SAMPLES / "digits.zip", "Handwritten digits")
    camera.take("new-model-checked")
    page.locator("#preset-finetune").check()
    page.get_by_text("Advanced", exact=True).click()
    camera.take("new-model-advanced")
    page.locator("#preset-frozen").check()
    start(page)
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    model = page.url
    page.goto(f"{model}card/")
    page.get_by_label("Description").fill(CARD)
    camera.take("model-card")
    page.get_by_role("button", name="Save").click()
    page.goto(model)
    page.locator("#id_try_file").set_input_files(
        [SAMPLES / "digits_new" / f"{digit}.png" for digit in (5, 7)]
    )
    page.locator(".prediction-image").last.wait_for()
    camera.take("model")
    page.get_by_role("link", name="What was found in it").click()
    camera.take("dataset")


def make_text_model(camera: Photographer) -> None:
    """Take the way from a table of sentences to a model's page."""
    page = camera.page
    fill_in(page, SAMPLES / "banking.csv", "Bank intents")
    camera.take("new-model-table")
    start(page)
    page.locator(".step-current progress[max]").wait_for()
    camera.take("job-running")
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    page.get_by_label("Sentences").fill(SENTENCES)
    page.get_by_role("button", name="Classify", exact=True).click()
    page.locator(".prediction-label").last.wait_for()
    camera.take("model-text")
    page.get_by_role("link", name="My jobs").click()
    page.get_by_role("link", name="Bank intents").click()
    camera.take("job")


def take_account(camera: Photographer) -> None:
    """Take what a person sees of the account itself."""
    camera.take("password", "/accounts/password/change/")
    camera.take("email", "/accounts/email/")
    camera.page.goto("/accounts/tokens/")
    camera.page.get_by_role("button", name="Make a token").click()
    camera.take("tokens")


ADMIN_PAGES = {
    "admin": "/admin/",
    "admin-models": "/admin/models_registry/registeredmodel/",
    "admin-jobs": "/admin/training/trainingjob/",
    "admin-datasets": "/admin/training/dataset/",
    "admin-workers": "/admin/training/workerheartbeat/",
    "admin-documents": "/admin/documents/document/",
    "admin-document": "/admin/documents/document/inference.json/change/",
    "admin-switches": "/admin/control/platformstatus/1/change/",
    "admin-confirm": "/admin/control/platformstatus/1/halt",
}


def keep_busy(platform: PlatformProcess) -> None:
    """Give the worker something that takes a while."""
    data = [
        "--task",
        "imageclassification",
        "--data",
        str(SAMPLES / "digits.zip"),
        "--name",
        "Digits from scratch",
    ]
    platform.manage("submit", *data, "--preset", "scratch")


def take_admin(camera: Photographer, home: Path) -> None:
    """Go through the admin; `home` has the first administrator and the password."""
    page = camera.page
    page.goto("/admin/")
    page.locator("#id_username").fill("admin")
    page.locator("#id_password").fill((home / "admin_password").read_text().split()[1])
    page.keyboard.press("Enter")
    page.locator("#dashboard").wait_for()
    for name, path in ADMIN_PAGES.items():
        camera.take(name, path)
    for name in ("model", "job"):
        page.goto(ADMIN_PAGES[f"admin-{name}s"])
        page.locator("#result_list a[href*='/change/']").first.click()
        camera.take(f"admin-{name}")


def main() -> None:
    """Start what it needs, take the pages, stop what it started."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-screenshots-") as folder,
        PlatformProcess(Path(folder) / "home") as platform,
        open_browser() as browser,
    ):
        for mode in MODES:
            with at_work(browser, platform, mode) as camera:
                take_everything(camera, mode)
        platform.manage("ensure_admin")
        for mode in MODES:
            keep_busy(platform)
            with at_work(browser, platform, mode) as camera:
                take_admin(camera, platform.home)
    total = sum(file.stat().st_size for file in TARGET.glob("*.png"))
    print(f"{total / 1e6:.1f} MB in all")


if __name__ == "__main__":
    main()
