"""Photos of a class with the camera, by pointer and by keyboard, wide and on a phone."""

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.platform_process import PlatformProcess

from .accessibility import findings_here
from .chromium import open_page, sign_up
from .test_accessibility import MODES

pytestmark = pytest.mark.browser

# A project whose first training has ended, as far as adding examples is concerned.
PROJECT = """
from accounts.models import User
from tests.factories import ProjectFactory
from training.examples.models import Revision
project = ProjectFactory(owner=User.objects.get(username="{owner}"), name="Things")
Revision.objects.create(project=project, number=1, key=f"projects/{{project.pk}}", size=1, sha256="0" * 64, examples=0)
print(project.public_id)
"""
REFUSE_CAMERA = """() => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", "NotAllowedError"); };
}"""
# A camera that gives a picture when `give` is called, and no other.
SLOW_CAMERA = """() => {
  const canvas = document.createElement("canvas");
  const stream = canvas.captureStream(0);
  let given = 0;
  window.give = () => {
    canvas.getContext("2d").fillText(`picture ${(given += 1)}`, 10 * given, 20 * given);
    stream.getVideoTracks()[0].requestFrame();
  };
  navigator.mediaDevices.getUserMedia = async () => {
    requestAnimationFrame(window.give);
    return stream;
  };
}"""
MAY_USE_CAMERA = "document.featurePolicy.allowsFeature('camera')"


@pytest.mark.parametrize("mode", ["light", "phone"])
def test_photos_are_taken_while_the_button_is_held(
    platform: PlatformProcess, chromium_browser: Browser, mode: str
) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES[mode]) as page:
        owner = sign_up(page, f"photographer-{mode}")
        said = platform.manage("shell", "-c", PROJECT.format(owner=owner)).stdout
        data = f"/projects/{said.split()[-1]}/data/"
        page.goto(data)
        assert not page.evaluate(MAY_USE_CAMERA), "it is for one page alone"
        page.get_by_role("link", name="Use the camera").click()
        page.wait_for_url("**/camera/")
        assert page.evaluate(MAY_USE_CAMERA)
        page.get_by_role("button", name="Start the camera").click()
        hold = page.get_by_role("button", name="Hold to take photos")
        photos = page.get_by_role("button", name="Remove photo")
        expect(hold).to_be_focused()
        hold.hover()
        page.mouse.down()
        expect(photos.nth(2)).to_be_attached()
        page.mouse.up()
        by_mouse = photos.count()
        page.keyboard.down(" ")
        expect(photos.nth(by_mouse + 1)).to_be_attached()
        page.keyboard.up(" ")
        assert findings_here(page) == []
        taken = photos.count()
        photos.first.click()
        expect(photos).to_have_count(taken - 1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Class").fill("cup")
        page.get_by_role("button", name=f"Add {taken - 1} photos").click()
        expect(page.get_by_text(f"{taken - 1} added.")).to_be_visible()
        assert_shown_by_source(page, data, taken - 1)


def test_camera_that_may_not_be_used_or_goes_away_can_be_started_again(
    platform: PlatformProcess, chromium_browser: Browser
) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES["phone"]) as page:
        owner = sign_up(page, "unlucky")
        said = platform.manage("shell", "-c", PROJECT.format(owner=owner)).stdout
        page.goto(f"/projects/{said.split()[-1]}/data/camera/")
        start = page.get_by_role("button", name="Start the camera")
        hold = page.get_by_role("button", name="Hold to take photos")
        page.evaluate(REFUSE_CAMERA)
        start.click()
        expect(page.get_by_role("alert")).to_contain_text("Allow it beside the address")
        expect(hold).to_be_hidden()
        page.evaluate("delete navigator.mediaDevices.getUserMedia")
        start.click()
        hold.press("Enter")
        expect(page.get_by_role("button", name="Remove photo")).to_have_count(1)
        page.evaluate(
            "document.querySelector('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
        )
        expect(page.get_by_role("alert")).to_contain_text(
            "The camera has stopped. Your photos are still here"
        )
        expect(hold).to_be_hidden()
        expect(page.get_by_role("button", name="Add 1 photo")).to_be_enabled()
        start.click()
        expect(hold).to_be_focused()


def test_picture_of_a_slow_camera_is_taken_once(platform: PlatformProcess, chromium_browser: Browser) -> None:
    with open_page(chromium_browser, platform.base_url, **MODES["light"]) as page:
        owner = sign_up(page, "patient")
        said = platform.manage("shell", "-c", PROJECT.format(owner=owner)).stdout
        page.clock.install()
        page.goto(f"/projects/{said.split()[-1]}/data/camera/")
        page.evaluate(SLOW_CAMERA)
        page.get_by_role("button", name="Start the camera").click()
        photos = page.get_by_role("button", name="Remove photo")
        hold = page.get_by_role("button", name="Hold to take photos")
        expect(hold).to_be_focused()
        page.keyboard.down(" ")
        for given in range(1, 4):
            page.evaluate("give()")
            expect(photos).to_have_count(given)
            page.clock.run_for(500)  # in which two more photos are due
        page.keyboard.up(" ")


def assert_shown_by_source(page: Page, data: str, number: int) -> None:
    page.goto(f"{data}?source=camera&class=cup")
    expect(page.locator("[data-example]")).to_have_count(number)
    image = page.locator("[data-example] img").first
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0
