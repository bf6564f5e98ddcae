"""How a person really comes upon each of the error pages: nothing here is known to the product."""

import contextlib
from collections.abc import Callable, Iterator

from playwright.sync_api import Page

from devtools.platform_process import PlatformProcess

from .chromium import PASSWORD, sign_in

ANSWERS = (400, 403, 404, 413, 429, 500, 503)
CLERK = "clerk"  # staff without a right, which `prepare_errors` makes
TOO_MANY_FIELDS = 1001
TOO_LARGE = 24 * 2**20  # characters
TOO_OFTEN = 6

SEND = """({ action, fields, filler }) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action });
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value: value + "x".repeat(filler) });
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}"""


def send(page: Page, path: str, fields: dict[str, str], *, filler: int = 0) -> None:
    """Send a form by the browser's own means; the values grow by `filler` characters on their way."""
    with page.expect_navigation():
        page.evaluate(SEND, {"action": path, "fields": fields, "filler": filler})


def prepare_errors(platform: PlatformProcess) -> None:
    """Make the account that may enter the admin and see nothing there."""
    platform.manage(
        "shell",
        "-c",
        "from accounts.models import User; "
        f"User.objects.create_user('{CLERK}', password='{PASSWORD}', is_staff=True)",
    )


def send_too_many_fields(page: Page) -> None:
    page.goto("/accounts/login/")
    send(page, "/accounts/login/", {f"field{number}": "" for number in range(TOO_MANY_FIELDS)})


def look_where_one_may_not(page: Page) -> None:
    sign_in(page, CLERK)
    page.goto("/admin/training/trainingjob/")


def send_without_token(page: Page) -> None:
    page.goto("/accounts/login/")
    send(page, "/accounts/login/", {"login": "somebody"})


def look_for_nothing(page: Page) -> None:
    page.goto("/nothing/")


def send_too_much(page: Page) -> None:
    page.goto("/accounts/login/")
    send(page, "/accounts/login/", {"login": "somebody"}, filler=TOO_LARGE)


def ask_too_often(page: Page) -> None:
    for _ in range(TOO_OFTEN):
        page.goto("/accounts/password/reset/")
        page.get_by_label("E-mail").or_(page.get_by_label("Email")).fill("nobody@example.org")
        page.get_by_role("button", name="Send the link").click()
        page.wait_for_load_state()
        if page.locator(".error-page").count():
            return


# Template → what leads there, while the platform is well and nobody is signed in.
ERRORS: dict[str, Callable[[Page], None]] = {
    "400.html": send_too_many_fields,
    "403.html": look_where_one_may_not,
    "403_csrf.html": send_without_token,
    "404.html": look_for_nothing,
    "413.html": send_too_much,
    "429.html": ask_too_often,
}


@contextlib.contextmanager
def bucket_away(platform: PlatformProcess) -> Iterator[None]:
    """Put a file where the folder of the bucket was: nothing can be read or written there."""
    bucket = platform.home / "bucket"
    away = bucket.rename(platform.home / "bucket-away")
    bucket.touch()
    try:
        yield
    finally:
        bucket.unlink()
        away.rename(bucket)


@contextlib.contextmanager
def halted(platform: PlatformProcess) -> Iterator[None]:
    """Switch maintenance mode on."""
    switch = "from control.services import switch_maintenance; switch_maintenance(on={})"
    platform.manage("shell", "-c", switch.format(True))
    try:
        yield
    finally:
        platform.manage("shell", "-c", switch.format(False))


@contextlib.contextmanager
def tables_away(platform: PlatformProcess) -> Iterator[None]:
    """Let the web process find an empty database; it answers for the rest of the time with faults of ours."""
    platform.stop_worker()
    platform.stop_web()
    away = platform.home / "away"
    away.mkdir()
    for file in platform.home.glob("db.sqlite3*"):  # the log that SQLite writes ahead, too
        file.rename(away / file.name)
    platform.start_web()
    try:
        yield
    finally:
        platform.stop_web()
        for file in platform.home.glob("db.sqlite3*"):
            file.unlink()
        for file in away.iterdir():
            file.rename(platform.home / file.name)
        away.rmdir()


def be_known(page: Page, platform: PlatformProcess) -> None:
    """Give the browser a session, which makes the platform look into its tables."""
    page.context.add_cookies([{"name": "sessionid", "value": "x" * 32, "url": platform.base_url}])


def classify_a_file(page: Page, token: str) -> None:
    """Send a batch from a model's page as a browser without script does; a platform that is halted refuses it."""
    page.goto(f"/models/{token}/")
    with page.expect_navigation():
        page.locator("#id_batch_file").set_input_files(
            {"name": "words.csv", "mimeType": "text/csv", "buffer": b"input\nhello\n"}
        )
        page.locator("#batch-form").evaluate("form => form.submit()")


def download(page: Page, token: str) -> None:
    """Ask for a model's file."""
    page.goto(f"/models/{token}/download/onnx/")
