"""HEIC and HEIF, the photos of iPhones (ISO/IEC 23008-12): pictures coded by HEVC, whole or in tiles.

libheif's own limit is a billion pixels and cannot be set from Python, and the size in HEVC's parameters may differ
from what the file says. So all of them are read before the decoder sees them.
"""

import struct

from .base import DamagedImage, ImageFile
from .bits import Bits
from .isobmff import (
    FILM_BRANDS,
    STILL_BRANDS,
    Coded,
    Item,
    brands,
    cost_of,
    read_pictures,
    still,
    turned_size,
)

# libheif's picture, Pillow's, and while the former is made, the decoder's in YCbCr.
BYTES_A_PIXEL = 8
BYTES_OF_A_CODED_PIXEL = 4
PARAMETERS, FIRST_OTHER = 33, 32  # kinds of a unit: a set of parameters; below the other, a part of a picture
MOST_PARAMETERS = 4096  # bytes
KINDS = (b"hvc1", b"hev1")


def accepts(content: bytes) -> bool:
    """Say whether this is a file of still pictures, though not an AVIF."""
    found = brands(content)
    return bool(found & (STILL_BRANDS | FILM_BRANDS)) and not found & {b"avif", b"avis"}


def read(content: bytes) -> ImageFile:
    """Return the primary picture, which the decoder turns upright. Raises `DamagedImage`, `UnknownFormat`."""
    try:
        pictures = read_pictures(content)
        width, height = turned_size(pictures.items[pictures.primary])
        cost = cost_of(pictures, KINDS, _coded)
    except (struct.error, IndexError) as error:
        raise DamagedImage("its header is cut off") from error
    beside = BYTES_OF_A_CODED_PIXEL * cost.largest
    file = still(content, b"heic")
    return ImageFile(
        "HEIF", file, width, height, bytes_a_pixel=BYTES_A_PIXEL, bytes_beside=beside, passes=cost.passes
    )


def _coded(item: Item, content: bytes) -> Coded:
    """Return what HEVC says of a picture: in its parameters, which may also lie among its data."""
    units = [unit for kind, value in item.properties if kind == b"hvcC" for unit in _configured(value)]
    position = 0
    while position + 4 < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        units.append(content[position + 4 : position + 4 + length])
        position += 4 + length
    sizes = [_size(unit) for unit in units if unit and unit[0] >> 1 & 63 == PARAMETERS]
    if not sizes:
        raise DamagedImage("it does not say how it is coded")
    begun = sum(1 for unit in units if len(unit) > 2 and unit[0] >> 1 & 63 < FIRST_OTHER and unit[2] & 0x80)
    return Coded(max(width for width, _ in sizes), max(height for _, height in sizes), begun)


def _configured(value: bytes) -> list[bytes]:
    """Return the units of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15)."""
    units, position = [], 23
    for _ in range(value[22]):
        (count,) = struct.unpack_from(">H", value, position + 1)
        position += 3
        for _ in range(count):
            (length,) = struct.unpack_from(">H", value, position)
            units.append(value[position + 2 : position + 2 + length])
            position += 2 + length
    return units


def _size(unit: bytes) -> tuple[int, int]:
    """Return the width and height of a sequence parameter set (ITU-T H.265, 7.3.2.2), before cropping."""
    bits = Bits(unit[2:MOST_PARAMETERS].replace(b"\0\0\3", b"\0\0"))
    bits.read(4)
    layers = bits.read(3)
    bits.read(1 + 88 + 8)  # the general profile, tier and level
    present = [(bits.read(1), bits.read(1)) for _ in range(8 if layers else 0)]
    for has_profile, has_level in present[:layers]:
        bits.read(88 * has_profile + 8 * has_level)
    bits.golomb()
    if bits.golomb() == 3:  # colours apart
        bits.read(1)
    return bits.golomb(), bits.golomb()
