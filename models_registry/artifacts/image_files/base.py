"""What the formats' modules return and raise."""

from dataclasses import dataclass

MOST_SEGMENTS = 100_000  # of any format: a loop over more takes as long as decoding a photo
USUAL_PASSES = 10  # of a progressive JPEG


class DamagedImage(ValueError):
    """A file whose structure is not that of its format; the message says where."""


class UnknownFormat(ValueError):
    """A file of none of the known formats."""


class ExcessiveImage(ValueError):
    """A file that would cost far more than a photo of its size; the message says what to do."""


@dataclass(frozen=True)
class ImageFile:
    """The first picture of an image file.

    `format` is Pillow's name, `content` what its decoder needs, `width` and `height` count pixels as they are
    stored, `orientation` is EXIF's (1: upright). Decoding takes `bytes_a_pixel` of memory for each pixel of
    the result and `bytes_beside` besides; `passes` says how many times the decoder goes over all pixels.
    `shrinks`: a decoder can skip to 1/2, 1/4 or 1/8 of the size without making the pixels of the whole.
    `has_more`: the file holds further pages or frames, which are not seen.
    """

    format: str
    content: bytes
    width: int
    height: int
    orientation: int = 1
    bytes_a_pixel: float = 4
    bytes_beside: float = 0
    passes: int = 1
    shrinks: bool = False
    has_more: bool = False

    @property
    def pixels(self) -> int:
        """Return the number of pixels as they are stored."""
        return self.width * self.height

    @property
    def work(self) -> int:
        """Return the number of pixels of a usual photo that takes as long to decode."""
        return self.pixels * max(self.passes, USUAL_PASSES) // USUAL_PASSES

    def memory(self, shrunk: int = 1) -> int:
        """Return the bytes that decoding takes, at 1/`shrunk` of the width and of the height."""
        return int(self.bytes_a_pixel * self.pixels / shrunk**2 + self.bytes_beside)
