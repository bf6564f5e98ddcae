"""AVIF (AV1 Image File Format): pictures coded by AV1, whole or in tiles.

What AV1's headers say of the size may differ from what the file says, and the decoder believes them.
"""

import struct

from .base import DamagedImage, ImageFile
from .bits import Bits
from .isobmff import Coded, Item, brands, cost_of, orientation, read_pictures, still

BYTES_A_PIXEL = 8  # Pillow's picture, and the bytes it is made of
BYTES_OF_A_CODED_PIXEL = 6  # the decoder's own, of up to 12 bits
SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6  # kinds of a unit
MOST_HEADER = 256  # bytes
KINDS = (b"av01",)


def accepts(content: bytes) -> bool:
    """Say whether this is an AVIF file."""
    return bool(brands(content) & {b"avif", b"avis"})


def read(content: bytes) -> ImageFile:
    """Return the primary picture. Raises `DamagedImage`, `UnknownFormat`."""
    try:
        pictures = read_pictures(content)
        picture = pictures.items[pictures.primary]
        cost = cost_of(pictures, KINDS, _coded)
        width, height = picture.size
        turned = orientation(picture)
    except (struct.error, IndexError) as error:
        raise DamagedImage("its header is cut off") from error
    return ImageFile(
        "AVIF",
        still(content, b"avif"),
        width,
        height,
        turned,
        bytes_a_pixel=BYTES_A_PIXEL,
        bytes_beside=BYTES_OF_A_CODED_PIXEL * cost.largest,
        passes=cost.passes,
    )


def _coded(_: Item, content: bytes) -> Coded:
    """Return what the units of a picture (AV1 specification, 5.3) say of its size, and how many frames it has."""
    sizes, frames, position = [], 0, 0
    while position < len(content):
        head = content[position]
        position += 2 if head & 4 else 1
        length = len(content) - position
        if head & 2:
            length, position = _leb128(content, position)
        kind = head >> 3 & 15
        if kind == SEQUENCE_HEADER:
            sizes.append(_size(content[position : position + min(length, MOST_HEADER)]))
        frames += kind in (FRAME_HEADER, FRAME)
        position += length
    if not sizes:
        raise DamagedImage("it does not say how it is coded")
    return Coded(max(width for width, _ in sizes), max(height for _, height in sizes), frames)


def _leb128(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for number in range(8):
        byte = content[position + number]
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            break
    return value, position + number + 1


def _size(header: bytes) -> tuple[int, int]:
    """Return the largest width and height of a sequence header (AV1 specification, 5.5.1)."""
    bits = Bits(header)
    bits.read(3 + 1)
    if bits.read(1):  # a reduced header, as stills have
        bits.read(5)
    else:
        if bits.read(1):
            raise DamagedImage("it is a film")  # whose header tells the time, as no still's does
        delays = bits.read(1)
        for _ in range(1 + bits.read(5)):
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if delays and bits.read(1):
                bits.read(4)
    wide, high = 1 + bits.read(4), 1 + bits.read(4)
    return 1 + bits.read(wide), 1 + bits.read(high)
