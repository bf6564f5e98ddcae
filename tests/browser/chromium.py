"""A real browser that tells of everything a person would not see: script errors, refused resources."""

import contextlib
import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from devtools.servers import chromium

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",  # a camera that shows moving colours
    "--use-fake-ui-for-media-stream",  # and a person who lets pages use it
]
PATIENCE = (
    30_000  # milliseconds that an element may take to show up: as long as a request may wait for the database
)
PASSWORD = "correct horse battery"
NUMBERS = itertools.count(1)  # of the accounts
ANSWERS = (404, 400)  # of a page that is not there, and of a form that cannot be used


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium; it ends with the context."""
    program = chromium()
    assert program, "install Chromium, or set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(
    browser: Browser, base_url: str, *, answers: Collection[int] = ANSWERS, **options: Any
) -> Iterator[Page]:
    """Open a page in a fresh profile; at the end its console must be empty of errors.

    Chromium reports what a Content-Security-Policy refused, and resources that are missing, there too.
    `answers` are the statuses of errors that are expected.
    """
    context: BrowserContext = browser.new_context(base_url=base_url, **options)
    context.set_default_timeout(PATIENCE)
    page, complaints = context.new_page(), []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not is_expected(message.text, answers):
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    except BaseException as error:
        error.add_note(what_was_seen(page, complaints))
        raise
    finally:
        context.close()
    assert not complaints, complaints


def what_was_seen(page: Page, complaints: Collection[str]) -> str:
    """Return what explains a failure: where the page is, what it shows, and what the console has."""
    try:
        return "\n".join(
            (f"The page was at {page.url}", page.locator("body").inner_text(timeout=2000), *complaints)
        )
    except PlaywrightError as error:
        return f"The page could not be looked at: {error}"


STOPPED = ("htmx:sendAbort", "htmx:afterRequest")  # what htmx says of a request that a person has stopped


def is_expected(complaint: str, answers: Collection[int]) -> bool:
    """Tell whether a complaint is only the note that an answer had one of these statuses, or was stopped."""
    answered = any(f"the server responded with a status of {code}" in complaint for code in answers)
    return answered or complaint.startswith(STOPPED)


def sign_up(page: Page, name: str) -> str:
    """Create an account from the front page; ends on the form of a new model. Returns its name, which no other has.

    Which tests share a platform depends on how they are dealt to processes.
    """
    name = f"{name}-{next(NUMBERS)}"
    page.goto("/")
    page.get_by_role("link", name="Create an account").first.click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create an account").click()
    page.wait_for_url("**/new/")
    return name


def hand_in(page: Page, *files: Path) -> None:
    """Choose data on the page of a new model, and send it once the page has told what is in it."""
    page.locator("#id_file").set_input_files(files)
    page.get_by_role("button", name="Upload").click()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in at the entrance."""
    page.goto("/accounts/login/")
    page.locator("#id_login").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/login" not in address)


def sign_in_to_admin(page: Page, name: str, password: str = PASSWORD) -> None:
    """Come to the admin by way of the sign-in page; ends on its first page."""
    page.goto("/admin/")
    page.locator("#id_login").fill(name)
    page.locator("#id_password").fill(password)
    page.keyboard.press("Enter")
    page.locator("#dashboard").wait_for()
