"""BMP of Windows and OS/2."""

import struct

from .base import DamagedImage, ImageFile

SIGNATURES = (b"BM",)
RUN_LENGTHS = (1, 2)  # compressions; Pillow undoes them in Python, byte by byte
PASSES_OF_RUN_LENGTHS = 250  # of C that take as long


def read(content: bytes) -> ImageFile:
    """Return the picture. Raises `DamagedImage`."""
    try:
        (size,) = struct.unpack_from("<I", content, 14)
        if size == 12:
            width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
            compression = 0
        else:
            width, height, _, bits, compression = struct.unpack_from("<iiHHI", content, 18)
    except struct.error as error:
        raise DamagedImage("its header is cut off") from error
    height = abs(height)  # negative: from top to bottom
    if width <= 0 or not height:
        raise DamagedImage("it has no pixels")
    return ImageFile(
        "BMP",
        content,
        width,
        height,
        bytes_a_pixel=(1 if bits <= 8 else 4) + (2 if compression in RUN_LENGTHS else 0),
        passes=PASSES_OF_RUN_LENGTHS if compression in RUN_LENGTHS else 1,
    )
