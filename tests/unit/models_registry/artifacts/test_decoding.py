"""Small image files that would cost a thousand times their size."""

import json
import struct
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from devtools.bombs import (
    GREY,
    RGBA,
    blank_png,
    bmp_of_runs,
    directory_that_repeats,
    encode,
    jpeg,
    jpeg_of_scans,
    png_chunk,
    segment,
    tiff_of_fields,
)
from devtools.costs import cost_of
from models_registry.artifacts import (
    ImagePreprocessing,
    InvalidInput,
    check_pixels,
    decode_image,
    decoding,
    inspected_once,
    is_big,
)
from models_registry.artifacts.decoding import inspect
from models_registry.artifacts.image_files import ImageFile, read_image_file

MB = 2**20
PREPROCESSING = ImagePreprocessing(resize=24, crop=16)


def classify_four_at_once(path: str) -> list[int]:
    """What one call of the API does to four copies of a file, with four threads."""
    content = Path(path).read_bytes()
    with ThreadPoolExecutor(4) as pool:
        return [int(pixels.max()) for pixels in pool.map(PREPROCESSING.pixels, [content] * 4)]


def classify(path: str) -> int:
    return int(PREPROCESSING.pixels(Path(path).read_bytes()).max())


@pytest.mark.parametrize(
    ("colours", "depth", "seen"), [(RGBA, 8, 255), (GREY, 16, 0)], ids=["rgba", "grey16"]
)
def test_huge_pngs_together_take_the_memory_of_one(
    tmp_path: Path, colours: int, depth: int, seen: int
) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(blank_png(7000, 7000, colours, depth))
    cost = cost_of(classify_four_at_once, str(path))
    assert cost.result == [seen] * 4  # transparent black is seen as white
    assert cost.peak_growth < 300 * MB
    assert path.stat().st_size < MB


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: jpeg_of_scans(1000, 1000, 1500), id="1500 scans"),
        pytest.param(lambda: jpeg_of_scans(7000, 7000, 60), id="60 scans of a large picture"),
        pytest.param(lambda: bmp_of_runs(7000, 7000), id="run lengths undone in Python"),
    ],
)
def test_what_takes_long_to_decode_is_refused_at_once(content: Any) -> None:
    hostile = content()
    began = time.thread_time()
    with pytest.raises(InvalidInput, match="ordinary JPEG"):
        PREPROCESSING.pixels(hostile)
    assert time.thread_time() - began < 0.1
    assert len(hostile) < MB


def test_progressive_photos_of_many_scans_are_read() -> None:
    assert inspect(jpeg_of_scans(200, 100, 100)).passes == 100
    assert PREPROCESSING.pixels(jpeg_of_scans(200, 100, 100)).shape == (16, 16, 3)


def test_a_preview_in_the_metadata_counts_no_scans() -> None:
    photo = jpeg(64, 64)
    previews = b"".join(segment(0xE2, jpeg_of_scans(8, 8, 150)) for _ in range(3))
    file = inspect(photo[:2] + previews + photo[2:] + jpeg_of_scans(8, 8, 150))
    assert (file.passes, file.pixels) == (1, 64 * 64)
    assert len(file.content) <= len(photo)


@pytest.mark.parametrize("size", [(12_000, 9_000), (20_000, 10_000), (40_000, 3_000)])
def test_large_jpegs_are_scaled_while_they_are_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "panorama.jpg"
    path.write_bytes(jpeg(*size, mode="L"))
    cost = cost_of(classify, str(path))
    assert cost.error == ""
    assert cost.peak_growth < 100 * MB


@pytest.mark.parametrize(
    ("content", "most"),
    [
        pytest.param(lambda: jpeg(11_600, 8700), 200 * MB, id="jpeg"),
        pytest.param(lambda: jpeg(11_600, 8700, progressive=True), 450 * MB, id="progressive"),
        pytest.param(lambda: blank_png(10_000, 10_000), 480 * MB, id="png"),
        pytest.param(lambda: blank_png(14_000, 14_000, GREY, 1), 280 * MB, id="scan"),
    ],
)
def test_a_hundred_megapixels_and_more_take_bounded_memory(
    tmp_path: Path, content: Callable[[], bytes], most: int
) -> None:
    path = tmp_path / "camera"
    path.write_bytes(content())
    cost = cost_of(classify, str(path))
    assert cost.error == ""
    assert cost.peak_growth < most


def test_large_jpeg_looks_like_the_small_one() -> None:
    columns, rows = np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 400))
    small = Image.fromarray(np.stack([columns, rows, columns * 0 + 60], axis=2).astype(np.uint8))
    large = encode(small.resize((9600, 6000)), "JPEG", quality=90)
    difference = PREPROCESSING.pixels(large).astype(int) - PREPROCESSING.pixels(encode(small, "PNG"))
    assert abs(difference).max() <= 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: blank_png(15_000, 15_000, GREY, 1), r"15,000 × 15,000 pixels; the limit is 200,000,000"),
        (lambda: jpeg(30_000, 7_000, mode="L"), r"the limit is 200,000,000"),
        (
            lambda: encode(Image.new("L", (6000, 5000)), "WEBP", lossless=True, method=0),
            r"form of WEBP.* 448 MB",
        ),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_what_is_too_large_names_the_limit(content: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        PREPROCESSING.pixels(content())


def test_progressive_jpegs_count_their_coefficients() -> None:
    """libjpeg keeps those of all pixels, however small the result."""
    with pytest.raises(InvalidInput, match="448 MB"):
        inspect(_with_size(jpeg(64, 64, progressive=True, subsampling=0), 11_000, 9_000))
    assert inspect(_with_size(jpeg(64, 64, subsampling=0), 11_000, 9_000)).shrinks


def _with_size(content: bytes, width: int, height: int) -> bytes:
    at = next(at for at in (content.find(b"\xff\xc0"), content.find(b"\xff\xc2")) if at > 0)
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]


def shared_metadata(kind: str) -> bytes:
    """A picture of which two thousand fields of metadata name the same hundred kilobytes."""
    exif = b"II*\0\x08\0\0\0" + directory_that_repeats(2000, 50_000, 8 + 2 + 12 * 2000 + 4) + b"\0" * 100_000
    if kind == "png":
        return blank_png(8, 8, beside=png_chunk(b"eXIf", exif))
    if kind == "webp":
        return encode(Image.new("RGB", (8, 8)), "WEBP", exif=exif)
    if kind == "tiff":
        return tiff_of_fields(990, 50_000)
    pieces = [exif[at : at + 60_000] for at in range(0, len(exif), 60_000)]
    photo = jpeg(8, 8)
    return photo[:2] + b"".join(segment(0xE1, b"Exif\0\0" + piece) for piece in pieces) + photo[2:]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff"])
def test_metadata_that_share_their_bytes_cost_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"shared.{kind}"
    path.write_bytes(shared_metadata(kind))
    cost = cost_of(classify, str(path))
    assert cost.error == ""
    assert cost.peak_growth < 20 * MB
    assert cost.seconds < 1


def test_endless_texts_of_a_png_are_passed_over() -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 100 * MB, 9))
    profile = png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"\0" * 100 * MB, 9))
    file = inspect(blank_png(8, 8, beside=text * 20 + profile))
    assert len(file.content) < 200


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {"save_all": True, "comment": b"x" * 5000}),
        ("PNG", {"save_all": True}),
        ("WEBP", {"save_all": True, "lossless": True}),
        ("TIFF", {"save_all": True}),
    ],
)
def test_of_several_pictures_the_first_is_seen(kind: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    content = encode(frames[0], kind, append_images=frames[1:], **options)
    assert tuple(np.asarray(decode_image(content))[4, 4]) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "WEBP", "PNG"])
def test_orientation_is_undone_once_in_every_format(kind: str, orientation: int) -> None:
    upright = np.zeros((8, 12, 3), np.uint8)
    upright[:4, :6] = 255  # white at the top left
    undone_by = decoding.UPRIGHT.get(orientation)
    inverse = {
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    image = Image.fromarray(upright)
    stored = image.transpose(inverse.get(undone_by, undone_by)) if undone_by is not None else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = np.asarray(decode_image(encode(stored, kind, exif=exif)))
    assert seen.shape == upright.shape
    assert seen[1, 1].min() > 200
    assert max(seen[1, 10].max(), seen[6, 1].max()) < 60


def test_tile_larger_than_memory_is_refused() -> None:
    """A picture of one pixel, in a packed tile of 60,000 by 60,000."""
    values = (
        (256, 1),
        (257, 1),
        (258, 8),
        (259, 8),
        (262, 1),
        (277, 1),
        (322, 60_000),
        (323, 60_000),
        (324, 8),
        (325, 1),
    )
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values)
    content = (
        b"II*\0" + struct.pack("<I", 12) + b"\0" * 4 + struct.pack("<H", len(values)) + fields + b"\0" * 4
    )
    with pytest.raises(InvalidInput, match="448 MB"):
        PREPROCESSING.pixels(content)


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a\x01\0\x01\0\0\0\0" + b"!\xfe" + b"\1x" * 150_000,
        blank_png(8, 8, beside=png_chunk(b"IDAT", b"") * 150_000),
        jpeg(8, 8)[:2] + b"\xff\xdb\0\2" * 150_000,
    ],
    ids=["gif", "png", "jpeg"],
)
def test_a_hundred_thousand_parts_are_too_many(content: bytes) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidInput, match="damaged"):
        PREPROCESSING.pixels(content)
    assert time.thread_time() - began < 1


def test_pixels_of_a_call_are_added_up_before_one_is_decoded() -> None:
    files = [blank_png(4000, 1000, GREY, 1)] * 5 + [b"no image"]
    check_pixels(files, 20_000_000)
    with pytest.raises(InvalidInput, match="19 megapixels together"):
        check_pixels(files, 19_999_999)


def test_small_images_do_not_wait_for_big_ones() -> None:
    began, end = threading.Event(), threading.Event()
    with decoding._big.take(1):  # as a decoder that takes a minute would
        waiting = threading.Thread(target=PREPROCESSING.pixels, args=(blank_png(4000, 4000, GREY, 8),))
        big = threading.Thread(
            target=lambda: (began.set(), PREPROCESSING.pixels(blank_png(6000, 6000)), end.set())
        )
        big.start()
        assert began.wait(10)
        waiting.start()
        waiting.join(10)
        assert not waiting.is_alive()
        assert not end.is_set()
    big.join(20)
    assert end.is_set()


def test_what_pillow_would_start_programs_for_is_no_image() -> None:
    for content in (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.4\n",
        b"\xd7\xcd\xc6\x9a\0\0",
    ):
        with pytest.raises(InvalidInput, match="not an image file"):
            decode_image(content)


def test_cost_is_json() -> None:
    assert json.loads(json.dumps(cost_of(len, "abc").__dict__))["result"] == 3


def test_a_file_is_looked_at_once_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bytes] = []

    def look(content: bytes) -> ImageFile:
        looks.append(content)
        return read_image_file(content)

    monkeypatch.setattr(decoding, "read_image_file", look)
    first, second = blank_png(40, 40), blank_png(40, 40, GREY, 8)
    with inspected_once():
        check_pixels([first, second], 10_000)
        assert not is_big(first)
        PREPROCESSING.pixels(first)
        with pytest.raises(InvalidInput, match="limit is 100 "):  # another limit is another question
            inspect(first, max_pixels=100)
    assert looks == [first, second, first]
    PREPROCESSING.pixels(first)
    assert looks == [first, second, first, first]
