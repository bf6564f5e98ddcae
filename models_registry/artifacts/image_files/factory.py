"""Which module reads a file: its first bytes decide, never its name."""

from collections.abc import Callable

from . import avif, bmp, gif, heif, jpeg, png, tiff, webp
from .base import ImageFile, UnknownFormat

# Only these decoders see bytes from outside; others (EPS starts Ghostscript) never do.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF")
READERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], ImageFile]], ...] = tuple(
    (module.SIGNATURES, module.read) for module in (jpeg, png, gif, bmp, tiff)
)

# These say further on what they hold.
CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], ImageFile]], ...] = tuple(
    (module.accepts, module.read) for module in (webp, avif, heif)
)


def read_image_file(content: bytes) -> ImageFile:
    """Return what a file says of its first picture. Raises `UnknownFormat`, `DamagedImage`,
    `ExcessiveImage`.
    """
    for accepts, read in CONTAINERS:
        if accepts(content):
            return read(content)
    for signatures, read in READERS:
        if content.startswith(signatures):
            return read(content)
    raise UnknownFormat(f"This is not an image file. Use one of {', '.join(FORMATS)}.")


def is_image_file(content: bytes) -> bool:
    """Say whether a file begins like one of the known formats."""
    return any(accepts(content) for accepts, _ in CONTAINERS) or any(
        content.startswith(signatures) for signatures, _ in READERS
    )
