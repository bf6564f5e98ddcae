"""Wrong labels mended by keyboard and learnt from, while a client asks the project all the time: in a real browser."""

import csv
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import ROOT, PlatformProcess
from tests.integration.jobs import wait_until

from .accessibility import findings_here
from .chromium import hand_in, open_page, sign_up

pytestmark = pytest.mark.browser

TRAINED_WITHIN = 120_000  # milliseconds
WRONG = 10
PHONE = {"width": 390, "height": 844}
EVERY = 0.1  # seconds between two calls of the client
Answers = Counter[tuple[int, int]]  # by status and version


def with_wrong_labels(path: Path) -> dict[str, str]:
    """Write the sample with some labels wrong; returns the right ones by text."""
    with (ROOT / "samples" / "banking.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    wrong = rows[:: len(rows) // WRONG][:WRONG]
    right = {row["input"]: row["label"] for row in wrong}
    for row in wrong:
        row["label"] = classes[(classes.index(row["label"]) + 1) % len(classes)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("input", "label"), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return right


@contextmanager
def client_that_asks(address: str) -> Iterator[Answers]:
    """Ask an address for predictions again and again; yields how often it answered what."""
    answers, over = Answers(), threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not over.wait(EVERY):
                try:
                    answer = session.post(address, json={"texts": ["Where is my card?"]}, timeout=30)
                    answers[answer.status_code, answer.json().get("version", 0)] += 1
                except (requests.RequestException, ValueError):
                    answers[0, 0] += 1

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield answers
    finally:
        over.set()
        client.join()


def test_a_project_gets_better_while_its_callers_notice_nothing(
    platform: PlatformProcess, chromium_browser: Browser, tmp_path: Path
) -> None:
    right = with_wrong_labels(tmp_path / "bank.csv")
    with open_page(chromium_browser, platform.base_url) as page:
        sign_up(page, "mender")
        page.goto("/new/")
        hand_in(page, tmp_path / "bank.csv")
        page.get_by_label("Name of the model").fill("Bank")
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url("**/models/*/", timeout=TRAINED_WITHIN)
        page.get_by_role("link", name="Mend the examples").click()
        data = page.url
        page.goto(f"{data.removesuffix('data/')}use/")
        token = page.locator("#token").inner_text().strip()
        with client_that_asks(f"{platform.base_url}/api/v1/models/{token}/predict/") as answers:
            mend_by_keyboard(page, data)
            assert_mended(page, data, right)
            train_again(page, data)
            compare_and_promote(page)
            wait_until("version 2 answers", lambda: answers[200, 2] > 1)
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {1, 2}


def mend_by_keyboard(page: Page, data: str) -> None:
    """Take the suggestion for each label that looks wrong; excludes one example and takes that back."""
    examples = page.locator("[data-example]")
    page.goto(f"{data}?show=doubt")
    expect(examples.first).to_be_visible(timeout=60_000)  # they are looked for when the model is live
    assert findings_here(page) == []
    listed = examples.count()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("1 example excluded.").first).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("Taken back: 1 example excluded.").first).to_be_visible()
    for left in range(listed - 1, -1, -1):
        page.keyboard.press("t")
        expect(examples).to_have_count(left)
    expect(page.get_by_role("heading", name="No label looks wrong")).to_be_visible()


def assert_mended(page: Page, data: str, right: dict[str, str]) -> None:
    """Look at what the project has now: nearly all the wrong labels were found."""
    table = page.request.get(f"{data}download/?format=csv").text()
    labels = {row["input"]: row["label"] for row in csv.DictReader(io.StringIO(table))}
    mended = [text for text, label in right.items() if labels[text] == label]
    assert len(mended) >= WRONG - 1, set(right) - set(mended)


def train_again(page: Page, data: str) -> None:
    """Train on the mended examples, from a phone."""
    page.set_viewport_size(PHONE)
    page.goto(data)
    assert fits(page)
    assert findings_here(page) == []
    page.get_by_role("button", name="Train again").click()
    page.wait_for_url("**/models/*/", timeout=TRAINED_WITHIN)
    page.goto(data)
    expect(page.get_by_text("(revision 2)")).to_be_visible()


def compare_and_promote(page: Page) -> None:
    """From the data of a project with two versions: one click compares them, one promotes the second."""
    page.get_by_role("link", name="Versions").click()
    assert findings_here(page) == []
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="What the comparison says").wait_for()
    expect(page.get_by_text("that none of these answers has learnt from")).to_be_visible()
    assert findings_here(page) == []
    assert fits(page)
    page.get_by_role("button", name="Promote version 2").click()
    expect(page.get_by_text("Version 2 is in production.")).to_be_visible()
    expect(page.get_by_role("heading", name="History")).to_be_visible()


# A project of which a worker is reading a large upload.
ADDING = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from tests.factories import DatasetFactory, DatasetValidationFactory, ProjectFactory
from training.examples.models import Addition, Example, Revision
owner = User.objects.get(username="{owner}")
text = dict(owner=owner, task_type="textclassification")
project, shard = ProjectFactory(**text), DatasetFactory(**text)
for number in range(3):
    Example.objects.create(
        project=project, shard=shard, place=str(number), sha256=str(number) * 64, label="a", text="x"
    )
Revision.objects.create(project=project, number=1, key=f"projects/{{project.pk}}", size=1, sha256="0" * 64, examples=3)
work = DatasetValidationFactory(
    state="running", lease_expires_at=timezone.now() + timedelta(hours=1), done=7, dataset__owner=owner
)
Addition.objects.create(validation=work, project=project)
print(work.pk, project.public_id)
"""
ENDED = """
from django.utils import timezone
from training.models import DatasetValidation
DatasetValidation.objects.filter(pk={pk}).update(state="succeeded", finished_at=timezone.now(), lease_expires_at=None)
"""


def test_news_of_what_a_worker_adds_disturb_nobody(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    with open_page(chromium_browser, platform.base_url, viewport=PHONE) as page:
        owner = sign_up(page, "patient")
        pk, public_id = platform.manage("shell", "-v0", "-c", ADDING.format(owner=owner)).stdout.split()[-2:]
        page.goto(f"/projects/{public_id}/data/")
        expect(page.get_by_text("7 rows read")).to_be_visible()
        page.locator("input[name=example]").nth(1).check()
        search = page.get_by_label("Search in texts")
        search.fill("where")
        with page.expect_response("**/additions/"):
            pass
        platform.manage("shell", "-v0", "-c", ENDED.format(pk=pk))
        expect(page.get_by_role("heading", name="Added examples")).to_be_visible()
        expect(search).to_be_focused()
        expect(search).to_have_value("where")
        expect(page.locator("input[name=example]").nth(1)).to_be_checked()
        assert findings_here(page) == []
        assert fits(page)


def fits(page: Page) -> bool:
    """Tell whether nothing is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
