"""TGA (Truevision Targa). Its files begin with no signature, so that all of the header has to make sense."""

import struct

from .base import DamagedImage, ImageFile

HEADER = struct.Struct("<BBBHHBHHHHBB")
MAPPED, COLOURS, GREY, PACKED = 1, 2, 3, 8
DEPTHS = {MAPPED: (8,), COLOURS: (16, 24, 32), GREY: (8, 16)}
MAP_DEPTHS = (16, 24, 32)
BYTES_A_PIXEL = 8  # Pillow's picture, and the one that it turns over


def accepts(content: bytes) -> bool:
    """Say whether this is a TGA file; of one that is not packed, whether all pixels are there."""
    if len(content) <= HEADER.size:
        return False
    name, mapped, kind, _, colours, map_depth, _, _, width, height, depth, flags = HEADER.unpack_from(content)
    if depth not in DEPTHS.get(kind & ~PACKED, ()) or not width or not height or flags & 0xC0:
        return False
    if mapped != (kind & ~PACKED == MAPPED) or (
        map_depth not in MAP_DEPTHS if mapped else colours or map_depth
    ):
        return False
    start = HEADER.size + name + colours * ((map_depth + 7) // 8)
    return bool(len(content) >= start + (1 if kind & PACKED else width * height * depth // 8))


def read(content: bytes) -> ImageFile:
    """Return the picture. Raises `DamagedImage`."""
    *_, width, height, _, _ = HEADER.unpack_from(content)
    if not width or not height:
        raise DamagedImage("it has no pixels")
    return ImageFile("TGA", content, width, height, bytes_a_pixel=BYTES_A_PIXEL)
