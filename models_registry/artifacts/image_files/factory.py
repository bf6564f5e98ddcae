"""Which module reads a file: its first bytes decide, never its name."""

import re
from collections.abc import Callable

from . import avif, bmp, gif, heif, ico, jpeg, jpeg2000, netpbm, png, tga, tiff, webp
from .base import ImageFile, UnknownFormat

# Only these decoders see bytes from outside; others (EPS starts Ghostscript) never do.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "ICO", "TGA")
READERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], ImageFile]], ...] = tuple(
    (module.SIGNATURES, module.read) for module in (jpeg, png, gif, bmp, tiff, jpeg2000, ico)
)

# These say further on what they hold.
CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], ImageFile]], ...] = tuple(
    (module.accepts, module.read) for module in (webp, avif, heif, netpbm)
)

# These begin with no signature: they are what nothing else is.
OTHERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], ImageFile]], ...] = ((tga.accepts, tga.read),)

# What people take for a photo and the platform does not: how it begins, what it is, what to do.
NO_IMAGES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "),
        "This is a JPEG XL, which is not read. Save it as JPEG or PNG.",
    ),
    (re.compile(rb"(?s).{128}DICM"), "This is a DICOM file, not an image file. Export its picture as PNG."),
    (re.compile(rb"%PDF-"), "This is a PDF, not an image file. Save its pages as JPEG or PNG."),
    (re.compile(rb"8BPS"), "This is a Photoshop file, not an image file. Save it as JPEG or PNG."),
    (
        re.compile(rb"version https://git-lfs"),
        "This is a pointer of Git LFS, not an image file. Fetch it: git lfs pull.",
    ),
    (
        re.compile(rb"(?i)\s*(<!doctype html|<html)"),
        "This is a web page, not an image file: the download failed. Download the image itself.",
    ),
    (
        re.compile(rb"(?is)\s*(<\?xml.{0,500})?<svg"),
        "This is a drawing (SVG), not an image file. Save it as PNG.",
    ),
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
    for accepts, read in OTHERS:
        if accepts(content):
            return read(content)
    for pattern, reason in NO_IMAGES:
        if pattern.match(content):
            raise UnknownFormat(reason)
    if not content:
        raise UnknownFormat("The file is empty; this is not an image file. Fetch it again.")
    raise UnknownFormat(f"This is not an image file. Use one of {', '.join(FORMATS)}.")


def is_image_file(content: bytes) -> bool:
    """Say whether a file begins like one of the known formats."""
    return any(accepts(content) for accepts, _ in CONTAINERS) or any(
        content.startswith(signatures) for signatures, _ in READERS
    )
