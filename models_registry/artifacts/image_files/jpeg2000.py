"""JPEG 2000 (ISO/IEC 15444-1): its codestream, alone or in a JP2 file.

The decoder makes a list of all blocks before it has read one, and tiles may be coded in blocks of their own. So the
headers of the file and of all parts of tiles are read here, and blocks far smaller than usual are refused.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .base import MOST_SEGMENTS, DamagedImage, ExcessiveImage, ImageFile

CODESTREAM, JP2 = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
SIGNATURES = (CODESTREAM, JP2)
SIZE, CODING, CODING_OF_ONE, TILE, DATA, END = 0x51, 0x52, 0x53, 0x90, 0x93, 0xD9
KEPT = frozenset({b"jP  ", b"ftyp", b"jp2h"})
MOST_COMPONENTS = 4
MOST_LEVELS = 32
LEAST_BLOCK = 8  # of its area, as a power of two: 16 by 16; usual are 32 by 32 and 64 by 64
LEAST_PRECINCT = 5  # of its side at full size, as a power of two
# The decoder's own: wavelets and what comes out of them, lists of blocks of the least size.
BYTES_OF_A_NUMBER = 8
BYTES_OF_A_TILE = 16 << 10
BYTES_A_PIXEL = 4
PASSES = 25  # of an ordinary JPEG, that take as long as the wavelets
PASSES_OF_A_BYTE = 40  # that a pixel has


class _Size(NamedTuple):
    width: int
    height: int
    tile: int  # pixels
    tiles: int
    components: int


def read(content: bytes) -> ImageFile:
    """Return the picture. Raises `DamagedImage`, and `ExcessiveImage` for one in far smaller blocks than usual."""
    try:
        kept, start = (b"", 0) if content.startswith(CODESTREAM) else _boxes(content)
        size = _size(content, start)
        _check_coding(content, start, size.components)
    except (struct.error, IndexError) as error:
        raise DamagedImage("its header is cut off") from error
    numbers = size.components * min(size.tile, size.width * size.height)
    head = kept + (struct.pack(">I4s", 8 + len(content) - start, b"jp2c") if kept else b"")
    return ImageFile(
        "JPEG2000",
        head + content[start:],
        size.width,
        size.height,
        bytes_a_pixel=BYTES_A_PIXEL,
        bytes_beside=BYTES_OF_A_NUMBER * numbers + BYTES_OF_A_TILE * size.tiles,
        passes=PASSES + PASSES_OF_A_BYTE * len(content) // (size.width * size.height),
    )


def _boxes(content: bytes) -> tuple[bytes, int]:
    """Return the boxes that colours need, and where the codestream begins."""
    kept, position, size_said = [], 0, None
    for _ in range(MOST_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", content, position)
        head = 16 if length == 1 else 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, position + 8)
        if kind == b"jp2c":
            start = position + head
            if not content.startswith(CODESTREAM, start) or size_said is None:
                break
            found = _size(content, start)
            if size_said != (found.height, found.width, found.components):
                raise DamagedImage("its header contradicts itself")
            return b"".join(kept), start
        if length < head or position + length > len(content):
            break
        if kind in KEPT:
            kept.append(content[position : position + length])
        if kind == b"jp2h" and content[position + head + 4 : position + head + 8] == b"ihdr":
            size_said = struct.unpack_from(">IIH", content, position + head + 8)
        position += length
    raise DamagedImage("it ends before its pixels begin")


def _size(content: bytes, start: int) -> _Size:
    """Return what the first segment says (A.5.1)."""
    right, bottom, left, top, wide, high, first_x, first_y, components = struct.unpack_from(
        ">IIIIIIIIH", content, start + 8
    )
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or not wide or not high or first_x > left or first_y > top:
        raise DamagedImage("it has no pixels")
    if not 1 <= components <= MOST_COMPONENTS:
        raise ExcessiveImage(
            f"The image has {components:,} channels; {MOST_COMPONENTS} can be read. Save it as PNG."
        )
    across, down = -(-(right - first_x) // wide), -(-(bottom - first_y) // high)
    return _Size(width, height, wide * high, across * down, components)


def _check_coding(content: bytes, start: int, components: int) -> None:
    """Raise `ExcessiveImage` when the file, or one of its tiles, is coded in tiny blocks (A.6.1, A.6.2)."""
    wide = 1 if components < 257 else 2
    for marker, at in _segments(content, start):
        if marker == CODING:
            has_precincts, at = content[at + 4], at + 9
        elif marker == CODING_OF_ONE:
            has_precincts, at = content[at + 4 + wide], at + 5 + wide
        else:
            continue
        levels, across, down = content[at], content[at + 1] & 15, content[at + 2] & 15
        sides = content[at + 5 : at + 6 + levels] if has_precincts & 1 else b""
        if levels > MOST_LEVELS or len(sides) < (levels + 1 if has_precincts & 1 else 0):
            raise DamagedImage("its header is damaged")
        # From the smallest resolution on, each of which is half of the next in width and in height.
        small = any(
            min(side & 15, side >> 4) + levels - number < LEAST_PRECINCT for number, side in enumerate(sides)
        )
        if across + down + 4 < LEAST_BLOCK or small:
            raise ExcessiveImage(
                "This JPEG 2000 is coded in blocks far smaller than usual. Save it as an ordinary JPEG."
            )


def _segments(content: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment of all headers, and where it begins."""
    position, tile, length = start + 2, 0, 0
    for _ in range(MOST_SEGMENTS):
        (marker,) = struct.unpack_from(">H", content, position)
        if marker >> 8 != 0xFF:
            raise DamagedImage("a part of its header is missing")
        marker &= 0xFF
        if marker == END:
            return
        if marker == DATA:
            if not length or tile + length >= len(content):  # the last part of a tile
                return
            position = tile + length
            continue
        if marker == TILE:
            tile, length = position, struct.unpack_from(">I", content, position + 6)[0]
            if length and length < 14:
                raise DamagedImage("a part of it is cut off")
        yield marker, position
        position += 2 + max(2, struct.unpack_from(">H", content, position + 2)[0])
    raise DamagedImage(f"it has more than {MOST_SEGMENTS:,} parts")
