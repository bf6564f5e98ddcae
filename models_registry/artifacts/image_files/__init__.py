"""What an image file says of itself, read before any decoder sees it: one module a format.

A few kilobytes can stand for gigabytes of pixels, thousands of scans or endless metadata. So each format's
module states the size, the memory and the work of decoding, and passes on only what the first picture's pixels
need: no text, no colour profile, no preview, no further pages or frames.
"""

from .base import DamagedImage, ExcessiveImage, ImageFile, UnknownFormat
from .factory import FORMATS, is_image_file, read_image_file

__all__ = [
    "FORMATS",
    "DamagedImage",
    "ExcessiveImage",
    "ImageFile",
    "UnknownFormat",
    "is_image_file",
    "read_image_file",
]
