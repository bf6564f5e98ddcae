"""WebP (RFC 9649): the first frame."""

from .base import MOST_SEGMENTS, DamagedImage, ImageFile
from .exif import orientation_of

# libwebp draws on a canvas, keeps another, and both Pillow's copy and its picture are of four bytes a pixel.
BYTES_A_PIXEL = 16
ANIMATED = 0x02  # among the flags of an extended header


def accepts(content: bytes) -> bool:
    """Say whether this is a WebP file."""
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def read(content: bytes) -> ImageFile:
    """Return the picture. Raises `DamagedImage`."""
    first, data = content[12:16], content[20:30]
    if len(data) < 10:
        raise DamagedImage("its header is cut off")
    if first == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (4, 7))
    elif first == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif first == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        raise DamagedImage("it does not begin with its header")
    if not width or not height:
        raise DamagedImage("it has no pixels")
    is_extended = first == b"VP8X"
    orientation = _orientation(content) if is_extended else 1
    return ImageFile(
        "WEBP",
        content,
        width,
        height,
        orientation,
        bytes_a_pixel=BYTES_A_PIXEL,
        has_more=is_extended and bool(data[0] & ANIMATED),
    )


def _orientation(content: bytes) -> int:
    position = 12
    for _ in range(MOST_SEGMENTS):
        kind = content[position : position + 4]
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        if kind == b"EXIF":
            return orientation_of(content[position + 8 : position + 8 + size])
        if len(kind) < 4:
            return 1
        position += 8 + size + size % 2
    raise DamagedImage(f"it has more than {MOST_SEGMENTS:,} parts")
