"""The one rule that makes 8-bit RGB of a decoded picture, whatever its mode: for reports, training and serving.

Grey of more than 8 bits, and grey of floats, is scaled by its own brightest pixel: the fewest bits of a list that hold
it become 8. A file does not say how many of its 16 bits a camera or a scanner used, and no single divisor fits 10, 12
and 16. What lies below zero lifts the whole; what is not finite counts as 0. Transparency is put on white. All else is
Pillow's conversion. The program on a model's page has the same rule (`inference/pages/snippets.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

DEPTHS = (1, 8, 10, 12, 14, 16)  # bits of masks, screens, cameras and scanners
EARLIER_DEPTHS = (8, 16)  # those of models whose files name none
BAND = 1 << 20  # pixels that are looked at or converted at a time
BACKGROUND = "white"

Grey = npt.NDArray[np.float32]


class _Range(NamedTuple):
    """What of a deep picture becomes black, and by how much more it has to be for white."""

    black: float
    span: float


def rgb_converter(image: Image.Image, depths: Sequence[int] = DEPTHS) -> Callable[[Image.Image], Image.Image]:
    """Return what makes RGB of a picture or of a part of it."""
    if image.mode.startswith(("I", "F")):
        found = _range(image, depths)
        return lambda part: _from_deep(part, found)
    if image.has_transparency_data:
        return _on_background
    return lambda part: part if part.mode == "RGB" else part.convert("RGB")


def _on_background(part: Image.Image) -> Image.Image:
    rgba = part.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba).convert("RGB")


def _from_deep(part: Image.Image, found: _Range) -> Image.Image:
    """Scale grey of more than 8 bits to 8, where Pillow's own conversion would clip it to white."""
    grey = (_grey(part) - found.black) * 255 / found.span
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def _range(image: Image.Image, depths: Sequence[int]) -> _Range:
    lowest, highest = 0.0, -np.inf
    for grey in map(_grey, _bands(image)):
        lowest, highest = min(lowest, float(grey.min())), max(highest, float(grey.max()))
    top = highest - lowest
    return _Range(lowest, next((2**bits - 1 for bits in depths if top < 2**bits), top))


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    step = max(1, BAND // image.width)
    for row in range(0, image.height, step):
        yield image.crop((0, row, image.width, min(row + step, image.height)))


def _grey(part: Image.Image) -> Grey:
    return np.nan_to_num(np.asarray(part, np.float32), nan=0, posinf=0, neginf=0)
