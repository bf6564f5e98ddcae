"""From the bytes of an image file to the network's input, the same in training and in serving."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .errors import InvalidInput

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_PIXELS = 50_000_000
# Only these decoders see bytes from outside; others (EPS starts Ghostscript) never do.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
EXIF_ORIENTATION = 0x0112
# How to undo each value of EXIF's Orientation (TIFF 6.0, tag 274); 1 and unknown values: nothing to do.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = (5, 6, 7, 8)  # those that lie on their side

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImagePreprocessing:
    """How an image becomes a network's input.

    The shorter side is scaled to `resize` pixels and the centre `crop` × `crop` is kept; pixels in
    0…1 are then normalised by `mean` and `std` (per RGB channel) and laid out as `layout`.
    """

    resize: int
    crop: int
    interpolation: str = "bicubic"
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    layout: str = "NCHW"

    def pixels(self, content: bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
        """Return the image as crop × crop × 3 bytes. Raises `InvalidInput`."""
        image, orientation = _open(content, max_pixels)
        # Cutting out the centre before scaling bounds memory for a picture of one by a million pixels.
        # A centred square stays one when turned, so that only the small result needs turning.
        side = min(image.size) * self.crop / self.resize
        left, top = (image.width - side) / 2, (image.height - side) / 2
        filter_ = Image.Resampling[self.interpolation.upper()]
        image = image.resize((self.crop, self.crop), filter_, box=(left, top, left + side, top + side))
        if orientation in UPRIGHT:
            image = image.transpose(UPRIGHT[orientation])
        return np.asarray(image)

    def seen(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return which part of an image `pixels` looks at: left, top, width, height, as fractions of the whole."""
        side = min(width, height) * self.crop / self.resize
        wide, high = side / width, side / height
        left, top = (1 - wide) / 2, (1 - high) / 2
        return round(left, 4), round(top, 4), round(wide, 4), round(high, 4)

    def normalise(self, batch: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        """Return images of crop × crop × 3 bytes as one float32 batch, N × 3 × crop × crop."""
        scale = np.float32(1 / 255) / np.asarray(self.std, np.float32)
        shift = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        result = np.empty((len(batch), len(scale), *batch[0].shape[:2]), np.float32)
        for planes, image in zip(
            result, batch, strict=True
        ):  # plane by plane: a fifth of the time of all at once
            for channel, plane in enumerate(planes):
                np.multiply(image[..., channel], scale[channel], out=plane)
                plane -= shift[channel]
        return result

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {**self.__dict__, "mean": list(self.mean), "std": list(self.std)}


def decode_image(content: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image file to an upright RGB picture: first frame, transparency on white.

    Raises `InvalidInput` for what is no image, a damaged one, or more pixels than allowed (checked
    before anything is decoded).
    """
    image, orientation = _open(content, max_pixels)
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def upright_size(content: bytes) -> tuple[int, int]:
    """Return the width and height of a picture that has been decoded before, the way it is to be seen."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        return (height, width) if _orientation(image) in TURNED else (width, height)


def _open(content: bytes, max_pixels: int) -> tuple[Image.Image, int]:
    """Return the RGB picture as it is stored, and its EXIF orientation."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise InvalidInput(
                    f"The image has {width:,} × {height:,} pixels; the limit is {max_pixels:,} in all. Scale it down."
                )
            orientation = _orientation(image)
            return _to_rgb(image), orientation
    except InvalidInput:
        raise
    except Image.UnidentifiedImageError as error:
        raise InvalidInput(f"This is not an image file. Use one of {', '.join(FORMATS)}.") from error
    except Image.DecompressionBombError as error:
        raise InvalidInput(
            f"The image has too many pixels; the limit is {max_pixels:,}. Scale it down."
        ) from error
    except Exception as error:  # decoders raise all sorts of things on damaged or hostile bytes
        raise InvalidInput(f"The image file is damaged ({error}). Save it again.") from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF must not cost a good picture
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        image.load()
        return image
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, where Pillow's own conversion would clip it to white."""
    grey: npt.NDArray[np.float32] = np.asarray(image, dtype=np.float32)
    if grey.max(initial=0) > 255:
        grey = grey / np.float32(257)  # 65535 becomes 255
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
