"""PNG (W3C Recommendation), with EXIF where cameras and phones put it."""

import struct
import zlib

from .base import MOST_SEGMENTS, DamagedImage, ImageFile
from .exif import orientation_of

SIGNATURES = (b"\x89PNG\r\n\x1a\n",)
PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
TEXTS = frozenset({b"zTXt", b"tEXt"})
# How older ImageMagick writes EXIF: lines of hexadecimal digits, after three others.
RAW_EXIF = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
MOST_TEXT = 1 << 16  # bytes of such a text
GREY, PALETTE = 0, 3  # the colour types that Pillow keeps in a byte a pixel


def read(content: bytes) -> ImageFile:
    """Return the picture; of an animated one what programs show that know no animation."""
    try:
        length, kind, width, height, depth, colours = struct.unpack_from(">I4sIIBB", content, 8)
    except struct.error as error:
        raise DamagedImage("its header is cut off") from error
    if (length, kind) != (13, b"IHDR"):
        raise DamagedImage("it does not begin with its header")
    kept, orientation, position, has_more = [content[:8]], 1, 8, False
    for _ in range(MOST_SEGMENTS):
        if position >= len(content):
            break
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        if kind in PIXELS:
            kept.append(content[position:end])
        elif kind == b"acTL":  # of an animated PNG; its first field is the number of frames
            has_more = int.from_bytes(content[position + 8 : position + 12], "big") > 1
        elif kind == b"eXIf":
            orientation = orientation_of(content[position + 8 : end - 4])
        elif kind in TEXTS and orientation == 1:
            orientation = _orientation_in_text(
                kind, content[position + 8 : min(end - 4, position + MOST_TEXT)]
            )
        position = end
        if kind == b"IEND":
            break
    else:
        raise DamagedImage(f"it has more than {MOST_SEGMENTS:,} parts")
    bytes_a_pixel = 4 if colours not in (GREY, PALETTE) else 2 if depth == 16 else 1
    return ImageFile(
        "PNG", b"".join(kept), width, height, orientation, bytes_a_pixel=bytes_a_pixel, has_more=has_more
    )


def _orientation_in_text(kind: bytes, text: bytes) -> int:
    name = next((name for name in RAW_EXIF if text.startswith(name)), None)
    if name is None:
        return 1
    value = text[len(name) :]
    try:
        if kind == b"zTXt":
            value = zlib.decompressobj().decompress(value[1:], MOST_TEXT)
        digits = b"".join(value.split(b"\n")[3:])
        return orientation_of(bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii")))
    except (zlib.error, ValueError):
        return 1
