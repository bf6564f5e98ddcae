"""HEIC, HEIF and AVIF: what phones and web sites write, and what would cost a thousand times its size."""

import random
import struct
import time

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from devtools.bombs import encode
from models_registry.artifacts import ImagePreprocessing, InvalidInput, decode_image
from models_registry.artifacts.decoding import UPRIGHT, inspect, upright_size
from tests.stills import CODED, PARAMETERS, SIDE, box, heic, heic_of_tiles, turned

PREPROCESSING = ImagePreprocessing(resize=24, crop=16)
# irot's quarters, imir's axis: EXIF's number for the same
TURNS = [
    (0, None, 1),
    (0, 0, 4),
    (0, 1, 2),
    (1, None, 8),
    (1, 0, 5),
    (1, 1, 7),
    (2, None, 3),
    (2, 0, 2),
    (2, 1, 4),
    (3, None, 6),
    (3, 0, 7),
    (3, 1, 5),
]


def seen(content: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(decode_image(content))


def corner(*, right: bool = False, low: bool = False) -> tuple[slice, slice]:
    return slice(40, 60) if low else slice(4, 24), slice(40, 60) if right else slice(4, 24)


def test_heic_is_read_by_its_content() -> None:
    pixels = seen(heic())
    assert pixels.shape == (SIDE, SIDE, 3)
    assert pixels[corner()].min() > 200
    assert max(pixels[corner(right=True)].max(), pixels[corner(low=True)].max()) < 60


@pytest.mark.parametrize(("quarters", "mirror", "orientation"), TURNS)
@pytest.mark.parametrize("tiled", [False, True])
def test_heic_is_turned_once(quarters: int, mirror: int | None, orientation: int, tiled: bool) -> None:
    make = (lambda turn: heic_of_tiles(2, 1, turn=turn)) if tiled else (lambda turn: heic(turn=turn))
    stored = Image.fromarray(seen(make(None)))
    content = make(turned(quarters, mirror))
    expected = stored.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else stored
    assert upright_size(content) == expected.size
    np.testing.assert_array_equal(seen(content), np.asarray(expected))


def test_tiles_of_a_phone_are_put_together() -> None:
    pixels = seen(heic_of_tiles(3, 2, size=(180, 120)))
    assert pixels.shape == (120, 180, 3)
    assert pixels[70:90, 132:152].min() > 200
    assert PREPROCESSING.pixels(heic_of_tiles(3, 2, size=(180, 120))).shape == (16, 16, 3)


def test_film_beside_the_picture_is_passed_over() -> None:
    content = heic(beside=box(b"moov", b"\xff" * 100), brand=b"msf1")
    np.testing.assert_array_equal(seen(content), seen(heic()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_once(orientation: int) -> None:
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :32] = 255
    back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    undone = back.get(orientation, UPRIGHT.get(orientation))
    image = Image.fromarray(upright)
    stored = image.transpose(undone) if undone is not None else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = seen(encode(stored, "AVIF", exif=exif, quality=90))
    assert pixels.shape == upright.shape
    assert pixels[2:12, 4:28].min() > 200
    assert max(pixels[2:12, 36:60].max(), pixels[20:30, 4:28].max()) < 60


def test_transparent_avif_is_seen_on_white() -> None:
    assert seen(encode(Image.new("RGBA", (40, 40), (255, 0, 255, 0)), "AVIF")).min() > 250


def test_of_a_film_in_avif_the_first_picture_is_seen() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    pixels = seen(encode(frames[0], "AVIF", save_all=True, append_images=frames[1:]))
    assert abs(pixels[8, 8].astype(int) - (255, 0, 0)).max() < 12


def with_avif_size(content: bytes, width: int, height: int) -> bytes:
    at = content.index(b"ispe") + 8
    return content[:at] + struct.pack(">II", width, height) + content[at + 8 :]


def test_size_that_the_codec_contradicts_is_refused_before_decoding() -> None:
    with pytest.raises(InvalidInput, match="contradicts itself"):
        inspect(with_avif_size(encode(Image.new("L", (4000, 3000)), "AVIF", speed=10), 8, 8))
    large = PARAMETERS.replace(b"\xa0\x20\x81\x05", b"\xa0\x00\x20\x00\x80\x01\x00\x05")
    assert large != PARAMETERS
    with pytest.raises(InvalidInput):
        inspect(heic().replace(box(b"hvcC", PARAMETERS), box(b"hvcC", large)))


def test_parameters_among_the_picture_are_seen() -> None:
    """HEVC takes a new size from wherever it stands."""
    huge = "00000001" + "0" * 96 + "1" + "010" + "0" * 14 + "100000000000001" + "0" * 14 + "100000000000001"
    unit = b"\x42\x01" + int(huge.ljust(-len(huge) % 8 + len(huge), "1"), 2).to_bytes(
        (len(huge) + 7) // 8, "big"
    )
    with pytest.raises(InvalidInput, match="contradicts itself"):
        inspect(heic(coded=struct.pack(">I", len(unit)) + unit + CODED))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: heic_of_tiles(200, 200, of_one=True, size=(64, 64)), "damaged"),
        (lambda: heic(size=(60_000, 60_000)), "the limit is 200,000,000"),
        (lambda: heic(size=(7000, 7000)), "448 MB"),
        (
            lambda: heic_of_tiles(2, 2, described=struct.pack(">BBBBHH", 0, 0, 1, 1, 60_000, 60_000)),
            "contradicts",
        ),
        (lambda: heic(coded=CODED * 300_000), "takes too long"),
        (lambda: heic(kind=b"iovl"), "Save it as JPEG"),
        (lambda: heic()[:200], "damaged"),
        (lambda: heic()[:-20], "damaged"),
    ],
    ids=["one tile", "large", "memory", "tiles", "pictures", "overlay", "head", "tail"],
)
def test_what_would_cost_too_much_is_refused_at_once(content: object, message: str) -> None:
    assert callable(content)
    hostile = content()
    began = time.thread_time()
    with pytest.raises(InvalidInput, match=message):
        PREPROCESSING.pixels(hostile)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("seed", range(3))
def test_damaged_stills_are_read_or_refused(seed: int) -> None:
    """Whatever a byte becomes: a picture, or `InvalidInput`."""
    chance = random.Random(seed)
    for content in (heic(), heic_of_tiles(2, 1), encode(Image.new("RGB", (32, 32), "red"), "AVIF")):
        for _ in range(100):
            damaged = bytearray(content)
            for _ in range(chance.randint(1, 3)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                decode_image(bytes(damaged))
            except InvalidInput as error:
                assert str(error).endswith((".", "JPEG."))
