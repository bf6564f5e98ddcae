"""What a JPEG 2000 may ask of its decoder."""

import struct

import pytest
from PIL import Image

from devtools.bombs import encode
from models_registry.artifacts import InvalidInput
from models_registry.artifacts.decoding import inspect

PHOTO = Image.new("RGB", (64, 48), "red")
SMALL = encode(PHOTO, "JPEG2000", no_jp2=True)
PRECINCTS = encode(PHOTO.resize((640, 480)), "JPEG2000", precinct_size=(32, 32), codeblock_size=(16, 16))
USUAL = b"\0\x11\x22\x33\x44\x55"  # of 32 by 32 at full size, of one pixel at the smallest


def with_size(width: int, height: int, tile: tuple[int, int]) -> bytes:
    """Return a codestream that says another size than it has."""
    return SMALL[:8] + struct.pack(">IIIIII", width, height, 0, 0, *tile) + SMALL[32:]


def test_size_and_memory_are_those_of_its_header() -> None:
    file = inspect(with_size(3000, 2000, (3000, 2000)))
    assert (file.width, file.height) == (3000, 2000)
    tiled = inspect(with_size(3000, 2000, (500, 500)))
    assert tiled.memory() < file.memory() / 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_size(60_000, 60_000, (60_000, 60_000)), "the limit is"),
        (with_size(5000, 5000, (5000, 5000)), "448 MB"),
        (with_size(5000, 5000, (1, 1)), "448 MB"),
        (with_size(6500, 6500, (500, 500)), "takes too long"),
        (encode(PHOTO, "JPEG2000", codeblock_size=(4, 4)), "far smaller than usual"),
        (encode(PHOTO, "JPEG2000", no_jp2=True, codeblock_size=(4, 32)), "far smaller than usual"),
        (PRECINCTS.replace(USUAL, b"\0\x11\x22\x33\x44\x44"), "far smaller than usual"),
        (SMALL[:60], "cut off"),
    ],
    ids=["pixels", "one tile", "tiles", "time", "blocks", "flat blocks", "precincts", "cut"],
)
def test_what_costs_far_more_than_a_photo_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        inspect(content)


def test_usual_precincts_are_read() -> None:
    assert USUAL in PRECINCTS
    assert inspect(PRECINCTS).width == 640


def test_blocks_of_a_tile_are_looked_at_too() -> None:
    """A tile's own header may say other blocks than the file's."""
    at = SMALL.index(b"\xff\x52")
    coding = bytearray(SMALL[at : at + 2 + int.from_bytes(SMALL[at + 2 : at + 4], "big")])
    coding[10:12] = b"\0\0"  # 4 by 4
    tile = SMALL.index(b"\xff\x90")
    length = int.from_bytes(SMALL[tile + 6 : tile + 10], "big") + len(coding)
    head = SMALL[tile : tile + 6] + struct.pack(">I", length) + SMALL[tile + 10 : tile + 12]
    with pytest.raises(InvalidInput, match="far smaller than usual"):
        inspect(SMALL[:tile] + head + bytes(coding) + SMALL[tile + 12 :])


def test_header_of_the_file_has_to_fit_the_codestream() -> None:
    content = bytearray(encode(PHOTO, "JPEG2000"))
    at = content.index(b"ihdr") + 4
    content[at : at + 4] = struct.pack(">I", 4)
    with pytest.raises(InvalidInput, match="contradicts itself"):
        inspect(bytes(content))
