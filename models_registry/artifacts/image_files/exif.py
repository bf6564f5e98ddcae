"""The one field of EXIF that pixels depend on: which side is up."""

import struct

ORIENTATION = 0x0112
SHORT = 3
MOST_FIELDS = 1000


def orientation_of(exif: bytes) -> int:
    """Return the orientation (1…8) of EXIF data, which begin like a TIFF file; 1 for damaged or none.

    Looks at no other field: one of a few bytes may name megabytes, and a thousand may name the same ones.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "4xI", exif)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for number in range(min(count, MOST_FIELDS)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * number)
            if tag == ORIENTATION and kind == SHORT:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
