import io
import zlib

import numpy as np
import pytest
from PIL import Image

from models_registry.artifacts import ImagePreprocessing, InvalidInput, decode_image
from models_registry.artifacts.decoding import UPRIGHT
from models_registry.artifacts.image_files.exif import ORIENTATION as EXIF_ORIENTATION

PREPROCESSING = ImagePreprocessing(resize=24, crop=16)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    """A picture without any symmetry: red grows to the right, green downwards."""
    columns, rows = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([columns, rows, columns * 0 + 60], axis=2).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_camera_orientation_is_undone(orientation: int) -> None:
    upright = gradient(40, 30)
    undone_by = UPRIGHT.get(orientation)
    # What the camera stored is what the undoing turns into the upright picture.
    inverse = {
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    stored = upright.transpose(inverse.get(undone_by, undone_by)) if undone_by is not None else upright
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    content = encode(stored, exif=exif)
    assert np.array_equal(np.asarray(decode_image(content)), np.asarray(upright))
    difference = PREPROCESSING.pixels(content).astype(int) - PREPROCESSING.pixels(encode(upright)).astype(int)
    assert abs(difference).max() <= 1


def test_orientation_means_what_exif_says() -> None:
    """6: the camera was turned; row 0 of the stored picture is the right side of the real one."""
    stored = Image.new("RGB", (20, 10), "black")
    stored.paste("white", (0, 0, 20, 5))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    seen = np.asarray(decode_image(encode(stored, exif=exif)))
    assert seen.shape == (20, 10, 3)
    assert seen[:, :5].max() == 0
    assert seen[:, 5:].min() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_put_on_white(mode: str) -> None:
    empty = Image.new(mode, (8, 8), 0)
    assert np.asarray(decode_image(encode(empty))).min() == 255


def test_transparent_palette_is_put_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert np.asarray(decode_image(encode(image, transparency=0))).min() == 255


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((8, 8), 32_896, np.uint16))
    assert np.asarray(decode_image(encode(grey))).flat[0] == 128


def test_cmyk_becomes_rgb() -> None:
    pixels = np.asarray(decode_image(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")))
    red, green, blue = pixels.reshape(-1, 3).mean(0)
    assert red > 200
    assert max(green, blue) < 60


def test_animation_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(np.asarray(decode_image(content))[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (encode(gradient(64, 64), "JPEG")[:-300], "damaged"),
        (encode(gradient(64, 64))[:-60], "damaged"),
    ],
    ids=["empty", "svg", "eps", "cut jpeg", "cut png"],
)
def test_what_is_no_image_says_so(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        decode_image(content)


def test_pixels_are_counted_before_decoding() -> None:
    png = encode(gradient(8, 8))
    header = b"IHDR" + (50_000).to_bytes(4, "big") * 2 + png[24:29]
    huge = png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:]
    with pytest.raises(InvalidInput, match=r"200,000,000"):
        decode_image(huge)
    with pytest.raises(InvalidInput, match="limit is 63"):
        decode_image(png, max_pixels=63)
    assert decode_image(png, max_pixels=64).size == (8, 8)


def test_result_is_the_centre_of_the_scaled_picture() -> None:
    image = gradient(96, 48)
    scaled = image.resize((48, 24), Image.Resampling.BICUBIC).crop((16, 4, 32, 20))
    difference = PREPROCESSING.pixels(encode(image)).astype(int) - np.asarray(scaled).astype(int)
    assert abs(difference).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 40_000), (40_000, 1), (3, 5)])
def test_extreme_shapes_keep_the_result_small(size: tuple[int, int]) -> None:
    assert PREPROCESSING.pixels(encode(Image.new("RGB", size, "red"))).shape == (16, 16, 3)


def test_normalised_batch_is_what_twenty_lines_of_numpy_give() -> None:
    images = [PREPROCESSING.pixels(encode(gradient(30, 30))), PREPROCESSING.pixels(encode(gradient(50, 20)))]
    batch = PREPROCESSING.normalise(images)
    expected = (np.stack(images) / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert batch.shape == (2, 3, 16, 16)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_preprocessing_survives_json() -> None:
    assert ImagePreprocessing(**PREPROCESSING.to_json()).to_json() == PREPROCESSING.to_json()


def test_files_of_earlier_versions_see_deep_grey_as_they_did() -> None:
    fields = PREPROCESSING.to_json()
    dark = encode(Image.fromarray(np.full((8, 8), 4095, np.uint16)))
    assert ImagePreprocessing.from_json(fields).pixels(dark).max() == 255
    del fields["depths"]
    assert ImagePreprocessing.from_json(fields).pixels(dark).max() == 15
