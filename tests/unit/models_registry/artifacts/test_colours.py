"""What becomes of pictures that are not 8-bit RGB."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models_registry.artifacts.colours import BAND, DEPTHS, EARLIER_DEPTHS, rgb_converter


def seen(values: object, depths: tuple[int, ...] = DEPTHS) -> npt.NDArray[np.int_]:
    """Return the grey levels that a picture of numbers becomes."""
    image = Image.fromarray(np.atleast_2d(np.asarray(values)))
    rgb = np.asarray(rgb_converter(image, depths)(image))
    assert (rgb == rgb[:, :, :1]).all()
    return rgb[0, :, 0].astype(int)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_of_any_depth_has_256_levels(bits: int) -> None:
    levels = np.arange(2**bits, dtype=np.uint16)
    assert seen(levels).tolist() == (levels.astype(int) * 255 // (2**bits - 1)).tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1], [0, 255]),
        ([0, 2], [0, 2]),
        ([0, 256], [0, 63]),
        ([0, 30_000, 65_535], [0, 116, 255]),
    ],
    ids=["mask", "8 bits", "9 bits are shown as 10", "16 bits"],
)
def test_the_fewest_usual_bits_that_hold_the_brightest_pixel(values: list[int], expected: list[int]) -> None:
    assert seen(np.array(values, np.uint16)).tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 127, 255]),
        ([-0.02, 0.5, 1.04], [0, 132, 255]),
        ([0, 128, 255], [0, 128, 255]),
        ([-1000, 0, 3000], [0, 62, 249]),
        ([np.nan, np.inf, -np.inf, 0.5], [0, 0, 0, 127]),
        ([0, 1e6, 2e6], [0, 127, 255]),
        ([0, 0, 0], [0, 0, 0]),
    ],
    ids=["0 to 1", "overshot", "0 to 255", "below zero", "not finite", "beyond 16 bits", "black"],
)
def test_floats_are_scaled_by_what_they_reach(values: list[float], expected: list[int]) -> None:
    assert seen(np.array(values, np.float32)).tolist() == expected


def test_files_that_name_no_depths_keep_theirs() -> None:
    values = np.array([0, 255, 256, 4095], np.uint16)
    assert seen(values, EARLIER_DEPTHS).tolist() == [0, 0, 0, 15]
    every = np.arange(65_536, dtype=np.uint16)
    assert (seen(every, EARLIER_DEPTHS) == seen(every)).all()


@given(st.lists(st.floats(allow_nan=True, width=32), min_size=1, max_size=9))
def test_any_floats_make_a_picture(values: list[float]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        assert seen(np.array(values, np.float32)).shape == (len(values),)


def test_a_part_is_scaled_as_the_whole_is() -> None:
    """The brightest pixel of a tall picture is not in its first rows."""
    image = Image.fromarray(np.full((5, BAND // 2), 100, np.uint16))
    image.putpixel((0, 4), 4095)
    to_rgb = rgb_converter(image)
    assert to_rgb(image.crop((0, 0, 1, 1))).getpixel((0, 0)) == (6, 6, 6)
