"""A page of another site that downloads a model as Flash's page does: by JavaScript, under the address' last part."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools import servers
from devtools.platform_process import PlatformProcess

from .chromium import open_page

TOKEN = "imageClassification-colours-0123456789abcdef0123456789abcdef"
MAKE = f"""
import io, json
from bucket.factory import get_bucket
from tests.factories import ArtifactFactory
from tests.tiny_models import live_colour_model
import hashlib
model = live_colour_model(token={TOKEN!r}, downloadable=True)
content = bytes(range(256)) * 2**14
pt = ArtifactFactory(
    model=model, kind="torchscript", key=f"imageclassification/{TOKEN}/1/{TOKEN}.pt",
    size=len(content), sha256=hashlib.sha256(content).hexdigest())
get_bucket().save(pt.key, io.BytesIO(content))
files = model.artifacts.values_list("kind", "sha256")
print(json.dumps({{"id": model.public_id.hex[:8], **dict(files)}}))
"""
FLASHS_PAGE = """<!doctype html><title>Flash</title>
<button>pytorch</button><button>onnx</button><p id="problem"></p>
<script>
async function download(format) {
  const form = new FormData();
  form.append("data", JSON.stringify({token: "TOKEN", format}));
  const answer = await (await fetch("PLATFORM/flash/download", {method: "POST", body: form})).json();
  if (answer.result !== "success") throw new Error(answer.message);
  const blob = await (await fetch(answer.url)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = answer.url.split("/").pop();
  document.body.append(link);
  link.click();
}
for (const button of document.querySelectorAll("button"))
  button.onclick = () => download(button.textContent).catch(
    error => document.querySelector("#problem").textContent = error);
</script>"""


class _OnePage(BaseHTTPRequestHandler):
    """Answers one page to whatever is asked for."""

    def __init__(self, html: list[str], *arguments: object) -> None:
        self._html = html
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        body = self._html[0].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def other_site() -> Iterator[tuple[str, list[str]]]:
    """Serve one page from an origin of its own; yields that, and a list whose only entry is the page."""
    html = [""]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_OnePage, html)) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", html
        finally:
            server.shutdown()
            thread.join()


def page_for(platform: PlatformProcess) -> tuple[str, dict[str, str]]:
    """Publish a model on a platform; returns Flash's page for it, and what the model's files are."""
    made = json.loads(platform.manage("shell", "-v", "0", "-c", MAKE).stdout.splitlines()[-1])
    return FLASHS_PAGE.replace("TOKEN", TOKEN).replace("PLATFORM", platform.base_url), made


def save(page: Page, wanted: str) -> tuple[str, str]:
    """Click as a person would; returns the saved file's name and SHA-256."""
    page.goto("/")
    with page.expect_download() as download:
        page.get_by_role("button", name=wanted).click()
    return download.value.suggested_filename, hashlib.sha256(download.value.path().read_bytes()).hexdigest()


def save_both(chromium_browser: Browser, site: str, made: dict[str, str]) -> None:
    """Save the model's files from a page; their names are no key."""
    with open_page(chromium_browser, site) as page:
        assert save(page, "pytorch") == (f"colours-{made['id']}.pt", made["torchscript"])
        assert save(page, "onnx") == (f"colours-{made['id']}.onnx", made["onnx"])


@pytest.mark.browser
def test_flashs_page_saves_a_model_from_a_folder(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    with other_site() as (site, html):
        html[0], made = page_for(platform)
        save_both(chromium_browser, site, made)


@pytest.mark.browser
@pytest.mark.servers
def test_flashs_page_saves_a_model_from_s3_and_other_sites_may_not(
    tmp_path: Path, chromium_browser: Browser
) -> None:
    with contextlib.ExitStack() as stack:
        site, html = stack.enter_context(other_site())
        env = {**stack.enter_context(servers.s3_server()).env, "FLASH_ORIGINS": site}
        platform = stack.enter_context(PlatformProcess(tmp_path / "home", env=env, worker=False))
        html[0], made = page_for(platform)
        save_both(chromium_browser, site, made)

        # The same page under another name of this machine is another site, which nobody has allowed.
        context = chromium_browser.new_context(base_url=site.replace("127.0.0.1", "localhost"))
        stack.callback(context.close)
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name="onnx").click()
        expect(page.locator("#problem")).to_contain_text("Failed to fetch")
