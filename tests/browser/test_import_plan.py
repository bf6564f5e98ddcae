"""What the page of a new model shows of data before it is sent, and how a click corrects it; on a phone."""

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from devtools.platform_process import PlatformProcess
from tests.sheets import xlsx
from tests.stills import box, heic
from tests.tiny_models import picture

from .chromium import open_page, sign_up
from .test_accessibility import findings_here

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}}
FLOWERS = ("daisy", "iris")
MANY = 70_000  # files; a zip without ZIP64 has 65,535 at most


@pytest.fixture(scope="module")
def page(platform: PlatformProcess, chromium_browser: Browser) -> Iterator[Page]:
    """One person goes through everything; every test begins with the page anew."""
    with open_page(chromium_browser, platform.base_url, **PHONE) as page:
        sign_up(page, "planner")
        yield page


@pytest.fixture(autouse=True)
def begin(page: Page) -> None:
    page.goto("/new/")


def choose(page: Page, *files: Path) -> None:
    page.locator("#id_file").set_input_files(files)
    expect(page.locator("#plan:not([aria-busy])")).to_be_visible()


def expect_verdict(page: Page, words: str) -> None:
    expect(page.locator("[data-plan=verdict]")).to_contain_text(words)


def send(page: Page) -> None:
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("button", name="Start training")).to_be_visible()


def table(path: Path, *, heading: str = "", count: int = 12) -> Path:
    rows = [f"where is my {word} number {n},{word}" for n in range(count) for word in ("card", "phone")]
    path.write_text("\n".join([heading, *rows] if heading else rows) + "\n")
    return path


def test_folder_of_an_iphone(page: Page, tmp_path: Path) -> None:
    for number, name in enumerate(FLOWERS):
        folder = tmp_path / "Flowers" / name
        folder.mkdir(parents=True)
        for shade in range(4):
            photo = heic() + box(b"free", bytes([shade, number]))  # each with bytes of its own
            (folder / f"IMG_{shade}.HEIC").write_bytes(photo)
        (folder / "IMG_9.MOV").write_bytes(b"clip" * 1000)
    page.locator("#folder").set_input_files(tmp_path / "Flowers")
    expect_verdict(page, "2 classes, 8 photos. Looks good.")
    left = page.locator("[data-plan=left]")
    left.get_by_text("2 left out").click()
    expect(left).to_contain_text("IMG_9.MOV")
    assert findings_here(page) == []
    send(page)
    expect(page.get_by_alt_text("An example of iris").first).to_be_visible()


def test_photos_with_their_labels_in_a_table(page: Page, tmp_path: Path) -> None:
    names = [f"{name}{shade}.png" for name in FLOWERS for shade in range(4)]
    with zipfile.ZipFile(tmp_path / "kaggle.zip", "w") as archive:
        archive.writestr("train.csv", "image,label\n" + "".join(f"{name},{name[:-5]}\n" for name in names))
        for number, name in enumerate(names):
            archive.writestr(f"train/{name}", picture(f"rgb({20 * number}, 9, 90)"))
    choose(page, tmp_path / "kaggle.zip")
    expect_verdict(page, "2 classes, 8 photos. Looks good.")
    expect_verdict(page, "The labels are those of train.csv.")
    send(page)


def test_column_of_the_labels_beside_pieces_of_a_folder_is_chosen_by_a_click(
    page: Page, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "skin.zip", "w") as archive:
        rows = [f"{n},{FLOWERS[n % 2]},{'mf'[n % 3 > 0]}\n" for n in range(12)]
        archive.writestr("metadata.csv", "id,kind,sex\n" + "".join(rows))
        for number in range(12):
            archive.writestr(f"photos_{1 + number % 3}/{number}.png", picture(f"rgb({20 * number}, 9, 90)"))
    choose(page, tmp_path / "skin.zip")
    expect_verdict(page, "Which column of metadata.csv holds the labels?")
    assert findings_here(page) == []
    page.get_by_role("button", name="'kind' holds the labels").click()
    expect_verdict(page, "2 classes, 12 photos. Looks good.")
    send(page)
    expect(page.get_by_alt_text("An example of iris").first).to_be_visible()


def test_workbook_of_excel(page: Page, tmp_path: Path) -> None:
    rows = [(f"where is my {word} {n}", word) for n in range(12) for word in ("card", "phone")]
    (tmp_path / "questions.xlsx").write_bytes(
        xlsx([("version", "date"), (1, "May"), (2, "June")], [("text", "topic"), *rows])
    )
    choose(page, tmp_path / "questions.xlsx")
    page.get_by_role("button", name="Read the sheet 'Sheet2'").click()
    expect_verdict(page, "2 classes, 24 sentences. Looks good.")
    expect(page.get_by_role("region", name="First rows")).to_contain_text("where is my phone 0")
    assert findings_here(page) == []
    send(page)


def test_table_without_a_heading_and_with_one(page: Page, tmp_path: Path) -> None:
    choose(page, table(tmp_path / "bare.csv"))
    expect_verdict(page, "2 classes, 24 sentences.")
    page.get_by_role("button", name="The first row names the columns").click()
    expect_verdict(page, "2 classes, 23 sentences.")
    page.get_by_role("button", name="Undo").click()
    expect_verdict(page, "2 classes, 24 sentences.")
    assert findings_here(page) == []
    send(page)
    expect(page.locator(".tile").first).to_contain_text("24")


class InCodePage(zipfile.ZipInfo):
    """An entry whose name is written as Windows writes it: in a code page, and without a word on which."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
        return self.filename.encode("cp852"), self.flag_bits


def test_names_in_a_doubtful_code_page_are_corrected_by_a_click(page: Page, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for word in ("Kočka", "Pes"):
            for shade in range(4):
                content = picture(f"rgb({60 * shade}, {len(word)}, 9)")
                archive.writestr(InCodePage(f"{word}/{shade}.png"), content)
    choose(page, tmp_path / "pets.zip")
    expect(page.get_by_role("button", name="Koƒka 4")).to_be_visible()
    page.get_by_role("button", name="Read names like 'Kočka'").click()
    expect_verdict(page, "2 classes, 8 photos. Looks good.")
    expect(page.get_by_role("list", name="Your corrections")).to_contain_text(
        "Names in Central European, DOS (852)"
    )
    assert findings_here(page) == []
    send(page)
    expect(page.get_by_alt_text("An example of Kočka").first).to_be_visible()


def test_class_is_renamed_merged_and_left_out_by_clicking_it(page: Page, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "garden.zip", "w") as archive:
        for number, name in enumerate(("daisy", "iris", "moss", "rose")):
            for shade in range(4):
                archive.writestr(f"{name}/{shade}.png", picture(f"rgb({60 * shade}, {number}, 9)"))
    choose(page, tmp_path / "garden.zip")
    page.get_by_role("button", name="moss 4").click()
    expect(page.get_by_label("Name of this class")).to_be_focused()
    assert findings_here(page) == []
    page.get_by_role("button", name="Leave out").click()
    expect_verdict(page, "3 classes, 12 photos.")
    page.get_by_role("button", name="rose 4").click()
    page.get_by_label("Name of this class").fill("iris")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="iris 8")).to_be_visible()
    page.get_by_role("button", name="Take back: Without “moss”").click()
    expect_verdict(page, "3 classes, 16 photos.")
    send(page)
    expect(page.get_by_alt_text("An example of moss").first).to_be_visible()


class NoSeeking(io.RawIOBase):
    """A file to which a zip can only be streamed: sizes and checksums come behind what they are of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return self._file.write(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def test_zips_of_other_programs_become_one(page: Page, tmp_path: Path) -> None:
    photos = {
        name: [picture(f"rgb({60 * shade}, {number}, 9)") for shade in range(4)]
        for number, name in enumerate((*FLOWERS, "moss"))
    }
    with zipfile.ZipFile(tmp_path / "daisy.zip", "w") as archive:
        for shade, content in enumerate(photos["daisy"]):
            with archive.open(f"{shade}.png", "w", force_zip64=True) as file:
                file.write(content)
    with (
        NoSeeking(tmp_path / "iris.zip") as target,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for shade, content in enumerate(photos["iris"]):
            archive.writestr(f"{shade}.png", content)
    with zipfile.ZipFile(tmp_path / "moss.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for shade, content in enumerate(photos["moss"]):
            archive.writestr(f"{shade}.png", content)
    program = (tmp_path / "moss.zip").read_bytes()
    (tmp_path / "moss.zip").write_bytes(b"#!/bin/sh\n" * 30 + program)  # one that unpacks itself
    choose(page, *(tmp_path / f"{name}.zip" for name in photos))
    expect_verdict(page, "3 classes, 12 photos. Looks good.")
    send(page)
    for name in photos:
        expect(page.get_by_alt_text(f"An example of {name}").first).to_be_visible()


MANY_FILES = """async (count) => {
  const { ZipWriter, crc32, entriesOf } = await import(new URL("zip.js", new URL(
    document.getElementById("id_file").dataset.worker, location.href)));
  const writer = new ZipWriter();
  for (let number = 0; number < count; number += 1) {
    const content = new TextEncoder().encode(String(number));
    writer.add({ name: `ä/${number}`, content, crc: crc32(content), size: content.length });
  }
  const blob = writer.finish();
  const entries = await entriesOf(blob);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return [entries.length, entries.at(-1).path, btoa(text)];
}"""


def test_zip_of_more_files_than_the_old_format_has_numbers_for(page: Page) -> None:
    count, last, content = page.evaluate(MANY_FILES, MANY)
    assert (count, last) == (MANY, f"ä/{MANY - 1}")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(content))) as archive:
        assert len(archive.namelist()) == MANY
        assert archive.read(f"ä/{MANY - 1}") == str(MANY - 1).encode()


def test_upload_is_stopped_and_sent_again(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "Garden"
    for number, name in enumerate(FLOWERS):
        (folder / name).mkdir(parents=True)
        for shade in range(4):
            (folder / name / f"{shade}.png").write_bytes(picture(f"rgb({60 * shade}, {number}, 9)"))
    held: list[Route] = []
    page.route("**/new/data/", lambda route: held.append(route))  # an upload that does not end
    page.locator("#folder").set_input_files(folder)
    expect_verdict(page, "2 classes, 8 photos. Looks good.")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload")).to_be_visible()
    page.locator("#upload-stop").click()
    expect(page.locator("#upload")).to_be_hidden()
    expect_verdict(page, "2 classes, 8 photos. Looks good.")
    for route in held:
        route.abort()
    page.unroute("**/new/data/")
    send(page)
    expect(page.get_by_alt_text("An example of iris").first).to_be_visible()
