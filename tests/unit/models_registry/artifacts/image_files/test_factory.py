"""Formats are found by what files hold; what is no image is named."""

import struct
import time

import pytest

from devtools.bombs import blank_png
from models_registry.artifacts import InvalidInput, decode_image
from models_registry.artifacts.decoding import inspect
from models_registry.artifacts.image_files import UnknownFormat, read_image_file
from tests.odd_images import no_images, readable

FORMATS_OF = {
    "jp2": "JPEG2000",
    "j2k": "JPEG2000",
    "ppm": "PPM",
    "pgm": "PPM",
    "pbm": "PPM",
    "pfm": "PPM",
    "tga": "TGA",
}


@pytest.mark.parametrize("name", [name for name in readable() if name.rpartition(".")[2] in FORMATS_OF])
def test_formats_are_told_by_content(name: str) -> None:
    file = inspect(readable()[name])
    assert file.format == FORMATS_OF[name.rpartition(".")[2]]
    assert decode_image(readable()[name]).size == (file.width, file.height) == (90, 70)


def test_files_of_several_pictures_are_known() -> None:
    found = {name for name, content in readable().items() if inspect(content).has_more}
    assert found == {"animated.gif", "animated.webp", "apng.png", "multipage.tif"}


def test_page_that_is_a_smaller_copy_is_no_further_picture() -> None:
    whole = bytearray(readable()["multipage.tif"])
    (first,) = struct.unpack_from("<I", whole, 4)
    (second,) = struct.unpack_from(
        "<I", whole, first + 2 + 12 * int.from_bytes(whole[first : first + 2], "little")
    )
    fields = range(second + 2, second + 2 + 12 * int.from_bytes(whole[second : second + 2], "little"), 12)
    assert inspect(bytes(whole)).has_more
    struct.pack_into("<HHII", whole, fields[0], 254, 4, 1, 1)  # in the place of its width
    assert not inspect(bytes(whole)).has_more


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dicom.dcm", "DICOM.*Export"),
        ("drawing.svg", "SVG.*Save it as PNG"),
        ("html_404.jpg", "web page.*Download"),
        ("lfs_pointer.jpg", "Git LFS.*git lfs pull"),
        ("photo.pdf", "PDF.*Save its pages"),
        ("photo.jxl", "JPEG XL.*Save it as JPEG"),
        ("zero.jpg", "empty"),
    ],
)
def test_what_is_no_image_is_named_with_what_to_do(name: str, words: str) -> None:
    with pytest.raises(UnknownFormat, match=words):
        read_image_file(no_images()[name])


def icon(width: int, height: int, content: bytes) -> bytes:
    entry = struct.pack("<BBBBHHII", width % 256, height % 256, 0, 0, 1, 32, len(content), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (icon(16, 16, blank_png(30_000, 30_000, 0, 1)), "limit"),
        (icon(16, 16, struct.pack("<IiiHHI", 40, 30_000, 60_000, 1, 32, 0)), "contradicts"),
        (b"P6 40000 40000 255\n", "limit"),
        (b"P3 3000 3000 255\n", "takes too long"),
        (b"P6 0 9 255\n", "no pixels"),
        (b"P6 9 " + b"#" * 9000, "cut off"),
        (b"P5 -1 x 255\n", "damaged"),
        (struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0) + b"\x80", "limit"),
    ],
    ids=["png in an icon", "bmp in an icon", "ppm", "digits", "no pixels", "comment", "numbers", "tga"],
)
def test_headers_that_promise_too_much_are_refused_at_once(content: bytes, words: str) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidInput, match=words):
        inspect(content)
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    "name", ["photo.jp2", "photo.j2k", "photo.ppm", "gray16.pgm", "photo.tga", "favicon.ico"]
)
def test_any_cut_is_a_message(name: str) -> None:
    content = readable()[name]
    for end in range(0, len(content) - 40, 97):
        with pytest.raises(InvalidInput):
            decode_image(content[:end])
