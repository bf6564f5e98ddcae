"""A folder of many small photos through the page of a new model, beside the same photos in a zip made beforehand.

The folder is dropped on the page of a real browser and sent with one click as soon as the page allows it. Meanwhile
the browser reports every task that held up the page. Both ways are timed twice: until the data set is accepted (the
page shows that a worker checks it), and until the page shows what was found in it and the model can be trained. All of
it is done over the loopback, where a zip is sent in no time, and again as over a line of `MBIT`, where it is not.
"""

import os
import tempfile
import time
import uuid
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from devtools.platform_process import WholePlatform
from tests.browser.chromium import open_browser, open_page, sign_up

from .ingest import draw, with_comment

PHOTOS = int(os.environ.get("TRAINYARD_BENCH_PHOTOS", "20000"))
CLASSES = 20
PICTURES = 24  # that are drawn; the others are these with another comment inside
SIDE = 64  # pixels
MBIT = 50  # megabits a second
WITHIN = 600_000  # milliseconds
FOUND = "#new-model[data-step=model]"
ACCEPTED = f"{FOUND}, #new-model[data-step=checking]"
WATCH = """() => {
  window.held = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.held.push(Math.round(entry.duration));
  }).observe({ type: "longtask" });
}"""


def folder_upload() -> dict[str, Any]:
    """Milliseconds that the page was held up at most, and the seconds of both ways."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        photos, archive = Path(folder) / "photos", Path(folder) / "photos.zip"
        write_photos(photos)
        zip_photos(photos, archive)
        with (
            WholePlatform(Path(folder) / "home") as platform,
            open_browser() as browser,
            open_page(browser, platform.base_url) as page,
        ):
            sign_up(page, f"bench-{uuid.uuid4().hex[:8]}")
            figures = _compare(page, archive, photos)
            limit_upload(page, MBIT)
            limited = _compare(page, archive, photos)
    return {"photos": PHOTOS, **figures, **{f"line_{name}": value for name, value in limited.items()}}


def _compare(page: Page, archive: Path, photos: Path) -> dict[str, float]:
    zipped, _ = send(page, archive)
    filed, held = send(page, photos)
    return {
        "longest_task_ms": max(held, default=0),
        "tasks_over_50_ms": len(held),
        **{f"{name}_seconds": round(seconds, 2) for name, seconds in asdict(filed).items()},
        **{f"zip_{name}_seconds": round(seconds, 2) for name, seconds in asdict(zipped).items()},
        "accepted_ratio": round(filed.accepted / zipped.accepted, 2),
        "found_ratio": round(filed.found / zipped.found, 2),
    }


def limit_upload(page: Page, megabits: int) -> None:
    """Let a page send no more than some megabits a second from now on."""
    unlimited = -1
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": unlimited,
            "uploadThroughput": megabits * 1_000_000 // 8,
        },
    )


def write_photos(folder: Path) -> None:
    """Write photos of a few kilobytes, all different, into a folder for each class."""
    pictures = [draw(seed, (SIDE, SIDE)) for seed in range(PICTURES)]
    for number in range(PHOTOS):
        place = folder / f"class {number % CLASSES:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}.jpg").write_bytes(with_comment(pictures[number % PICTURES], number))


def zip_photos(folder: Path, archive: Path) -> None:
    """Write the same photos into a zip, stored as the page stores them."""
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*.jpg")):
            target.write(path, path.relative_to(folder.parent))


@dataclass(frozen=True)
class Seconds:
    """From the drop until the plan is shown, the data set is accepted, and the page shows what was found in it."""

    listed: float
    accepted: float
    found: float


def send(page: Page, path: Path) -> tuple[Seconds, list[int]]:
    """Drop a file or folder on the page and upload it: how long each step took, and the page's long tasks."""
    page.goto("/new/")
    page.evaluate(WATCH)
    began = time.monotonic()
    drop(page, path)
    page.locator("#send:enabled").wait_for(timeout=WITHIN)
    listed = time.monotonic() - began
    page.locator("#send").click()
    page.locator(ACCEPTED).wait_for(timeout=WITHIN)
    accepted = time.monotonic() - began
    held = page.evaluate("window.held")
    page.locator(FOUND).wait_for(timeout=WITHIN)
    return Seconds(listed, accepted, time.monotonic() - began), held


def drop(page: Page, path: Path) -> None:
    """Drag something from the disk onto the page, as a file manager does."""
    box = page.locator("#file-zone").bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
