"""The photos that people bring, kind by kind: which classes and counts they become, what is told, how they look."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devtools.bombs import blank_png, zip_of
from tests.odd_images import no_images, photo, readable
from tests.stills import heic, turned
from training.engine.data import DataReport, build_report

FILES = readable()
NO_IMAGES = no_images()
EACH = 3  # images of a class
TOLERANCE = 16  # levels, of a JPEG's thumbnail


@dataclass(frozen=True)
class Kind:
    """What people bring, beside a class of ordinary photos, and what becomes of it."""

    name: str
    files: dict[str, bytes]
    examples: int
    reasons: tuple[str, ...] = ()  # of what is left out, in its order
    looks_like: str = ""  # the file that its first thumbnail is the picture of
    warns: str = ""

    def __str__(self) -> str:
        return self.name


def odd(*names: str) -> dict[str, bytes]:
    """Return some of the files by name."""
    return {name: FILES[name] for name in names}


KINDS = (
    Kind(
        "I02 photos of iPhones",
        {"1.heic": heic(), "2.HEIC": heic(turn=turned(1)), "3.jpg": heic(turn=turned(2))},
        3,
    ),
    Kind("I03 AVIF", odd("photo.avif", "cutout.avif"), 2, looks_like="plain.jpg"),
    Kind(
        "I04 WebP named .jpg",
        {"web.jpg": FILES["photo.webp"], "b.jpeg": FILES["animated.webp"]},
        2,
        looks_like="plain.jpg",
    ),
    Kind("I05 10 bits of 16", odd("gray10in16.png", "gray.png"), 2, looks_like="gray8in16.png"),
    Kind("I05 12 bits of 16", odd("gray12in16.tif", "gray.png"), 2, looks_like="gray8in16.png"),
    Kind("I05 16 bits", odd("gray16.png", "gray.png"), 2, looks_like="gray8in16.png"),
    Kind("I05 floats", odd("float1.tif", "gray.png"), 2, looks_like="gray8in16.png"),
    Kind("I06 pages and CMYK", odd("multipage.tif", "cmyk_adobe.jpg", "cmyk.tif"), 3, looks_like="plain.jpg"),
    Kind(
        "I06 animations",
        odd("animated.gif", "apng.png", "plain.jpg"),
        3,
        warns="several pages or frames: 2 (odd/animated.gif, odd/apng.png)",
    ),
    Kind("I06 CMYK", odd("cmyk_adobe.jpg", "lab.tif", "ycbcr.tif"), 3, looks_like="plain.jpg"),
    Kind(
        "I07 damaged files between good ones",
        odd("plain.jpg", "palette.png")
        | {
            name: NO_IMAGES[name]
            for name in ("truncated_half.jpg", "zero.jpg", "html_404.jpg", "lfs_pointer.jpg")
        }
        | {"panorama.png": blank_png(30_000, 9000, 0, 1)},
        2,
        reasons=("damaged", "empty", "web page", "git lfs pull", "the limit is"),
    ),
    Kind(
        "I08 hidden colours",
        odd("cutout_hidden_magenta.png", "cutout_la.png"),
        2,
        looks_like="cutout_rgba.png",
    ),
    Kind("I08 one colour is none", odd("cutout_colour.png", "cutout.gif"), 2, looks_like="cutout_rgba.png"),
    Kind(
        "I09 turned by EXIF",
        odd("exif_bad.jpg", "exif3.jpg", "exif6.png", "exif8.webp"),
        4,
        looks_like="plain.jpg",
    ),
    Kind(
        "I10 suffixes",
        {"a.JPG": FILES["plain.jpg"], "b.jfif": FILES["progressive.jpg"], "c": FILES["photo.bmp"]},
        3,
    ),
    Kind("I11 MPO of phones", odd("phone_mpo.jpg", "photo.bmp"), 2, looks_like="plain.jpg"),
    Kind(
        "I13 other formats",
        odd("photo.jp2", "photo.ppm", "photo.bmp", "photo.tga"),
        4,
        looks_like="plain.jpg",
    ),
    Kind(
        "I13 what is said",
        odd("photo.pgm", "photo.pbm")
        | {name: NO_IMAGES[name] for name in ("dicom.dcm", "photo.jxl")}
        | {"scan.jpg": NO_IMAGES["photo.pdf"]},
        2,
        reasons=("DICOM", "JPEG XL", "PDF"),
    ),
)


def report_of(folder: Path, files: dict[str, bytes]) -> DataReport:
    others = {f"usual/{n}.png": blank_png(20 + n, 20, 2) for n in range(EACH)}
    (folder / "data.zip").write_bytes(
        zip_of({f"odd/{name}": content for name, content in files.items()} | others)
    )
    return build_report(folder / "data.zip", task_type="imageclassification", columns={})


def first_thumbnail(report: DataReport) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(report.thumbnails["odd"][0])))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_kind_is_trained_or_told(kind: Kind, tmp_path: Path) -> None:
    report = report_of(tmp_path, kind.files)
    assert report.problems == []
    assert report.classes == {"odd": kind.examples, "usual": EACH}
    found = [unreadable["reason"] for unreadable in report.unreadable]
    assert report.unreadable_count == len(kind.reasons)
    for reason, words in zip(found, kind.reasons, strict=True):
        assert words in reason
    assert not kind.warns or any(kind.warns in warning for warning in report.warnings), report.warnings
    if kind.looks_like:
        seen = np.asarray(first_thumbnail(report), int)
        expected = np.asarray(first_thumbnail(report_of(tmp_path, odd(kind.looks_like, "palette.png"))), int)
        assert abs(seen - expected).mean() < TOLERANCE


def test_class_of_which_nothing_can_be_read_is_named(tmp_path: Path) -> None:
    report = report_of(tmp_path, {"a.jpg": NO_IMAGES["zero.jpg"], "b.jpg": NO_IMAGES["html_404.jpg"]})
    assert any("Nothing of class 'odd' can be read" in problem for problem in report.problems)


def test_photo_of_a_hundred_megapixels_is_trained(tmp_path: Path) -> None:
    """I12: scaled down while it is decoded."""
    buffer = io.BytesIO()
    photo().resize((11_600, 8700)).save(buffer, "JPEG", quality=50)
    report = report_of(tmp_path, {"large.jpg": buffer.getvalue(), "plain.jpg": FILES["plain.jpg"]})
    assert report.classes == {"odd": 2, "usual": EACH}
    assert max(first_thumbnail(report).size) == 96
