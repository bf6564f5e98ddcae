"""ICO, the icons of Windows and of web sites: the largest picture, which is a PNG or a BMP without its first header."""

import struct
from typing import NamedTuple

from . import png
from .base import DamagedImage, ImageFile

SIGNATURES = (b"\0\0\1\0",)
ENTRY = struct.Struct("<BBBBHHII")
MOST_PICTURES = 1000
BITS = (1, 4, 8, 16, 24, 32)
BYTES_A_PIXEL = 16


class _Picture(NamedTuple):
    width: int
    height: int
    depth: int
    entry: bytes
    content: bytes


def read(content: bytes) -> ImageFile:
    """Return the picture that Pillow shows: the largest, of several the one of the fewest colours.

    Raises `DamagedImage`.
    """
    picture = _largest(content)
    if picture.content.startswith(png.SIGNATURES):
        return png.read(picture.content)
    try:
        _, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", picture.content)
    except struct.error as error:
        raise DamagedImage("its header is cut off") from error
    if (width, height) != (picture.width, 2 * picture.height) or compression or bits not in BITS:
        raise DamagedImage("its header contradicts itself")
    # Of one picture, which lies behind a directory of one entry.
    start = struct.pack("<I", 6 + ENTRY.size)
    file = content[:4] + b"\1\0" + picture.entry[:-4] + start + picture.content
    return ImageFile("ICO", file, picture.width, picture.height, bytes_a_pixel=BYTES_A_PIXEL)


def _largest(content: bytes) -> _Picture:
    try:
        (count,) = struct.unpack_from("<H", content, 4)
        pictures = [_picture(content, 6 + ENTRY.size * number) for number in range(min(count, MOST_PICTURES))]
    except struct.error as error:
        raise DamagedImage("its header is cut off") from error
    if not pictures:
        raise DamagedImage("it holds no picture")
    return max(pictures, key=lambda picture: (picture.width * picture.height, -picture.depth))


def _picture(content: bytes, at: int) -> _Picture:
    width, height, colours, _, _, bits, size, start = ENTRY.unpack_from(content, at)
    depth = bits or (colours - 1).bit_length() if bits or colours else 256
    entry = content[at : at + ENTRY.size]
    return _Picture(width or 256, height or 256, depth, entry, content[start : start + size])
