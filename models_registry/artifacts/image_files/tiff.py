"""TIFF 6.0 and BigTIFF: the first page.

A page is described by a directory of fields, each of which may name megabytes of the file, and several the same
ones; further directories hang off it. So the fields that pixels need are put into a new directory.
"""

import struct
from typing import NamedTuple

from .base import DamagedImage, ImageFile, UnknownFormat

SIGNATURES = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+")
MOST_FIELDS = 1000
MOST_PARTS = 200_000  # strips or tiles
MOST_BYTES = 4 << 20  # of a field
SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, ROWS_A_STRIP, TILE_WIDTH, TILE_LENGTH, ORIENTATION = 277, 278, 322, 323, 274
STRIPS, TILES = 273, 324
PLANES = 284  # 2: the colours lie apart
SUBFILE = 254  # what a page is
PARTS = frozenset({STRIPS, 279, TILES, 325})
# What decoding needs (TIFF 6.0 and its supplements): layout, compression, colours, sample formats.
NEEDED = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, SAMPLES, ROWS_A_STRIP, TILE_WIDTH, TILE_LENGTH}
    | {*PARTS, PLANES, 292, 293, 317, 320, 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532}
)


class _Field(NamedTuple):
    kind: int
    length: int
    raw: bytes  # of the directory: the value, or where it lies


class _Layout(NamedTuple):
    """How the numbers of a file's directories are written."""

    order: str
    is_big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.is_big else "I")

    @property
    def number_of_fields(self) -> str:
        return self.order + ("Q" if self.is_big else "H")

    @property
    def field(self) -> str:
        return self.order + ("HHQ8s" if self.is_big else "HHI4s")


def read(content: bytes) -> ImageFile:
    """Return the first page. Raises `DamagedImage`, `UnknownFormat`."""
    layout = _Layout("<" if content[:2] == b"II" else ">", content[2:4] in (b"+\0", b"\0+"))
    try:
        (start,) = struct.unpack_from(layout.offset, content, 8 if layout.is_big else 4)
        fields = _fields(content, layout, start)
        numbers = {tag: _number(content, layout, field) for tag, field in fields.items() if tag not in PARTS}
        width, height = numbers.get(WIDTH) or 0, numbers.get(HEIGHT) or 0
        orientation = numbers.get(ORIENTATION, 1)
    except struct.error as error:
        raise DamagedImage("its directory is cut off") from error
    if not width or not height:
        raise DamagedImage("it has no pixels")
    samples, bits = numbers.get(SAMPLES, 1), numbers.get(BITS, 1)
    if samples > 1 and bits > 8 and numbers.get(PLANES) == 2:  # Pillow takes them for those of 8 bits
        raise UnknownFormat(
            f"This TIFF keeps its colours of {bits} bits apart, which is not read here. Save it as PNG or JPEG."
        )
    return ImageFile(
        "TIFF",
        _with_directory(content, layout, fields),
        width,
        height,
        orientation if 1 <= orientation <= 8 else 1,
        bytes_a_pixel=4 if samples > 1 else max(1, bits // 8),
        bytes_beside=_bytes_of_a_part(numbers, samples, bits) if numbers.get(COMPRESSION, 1) != 1 else 0,
        has_more=_has_more(content, layout),
    )


def _fields(content: bytes, layout: _Layout, start: int) -> dict[int, _Field]:
    """Return the fields of the directory at `start` that are looked at."""
    (count,) = struct.unpack_from(layout.number_of_fields, content, start)
    if count > MOST_FIELDS:
        raise DamagedImage(f"its directory has more than {MOST_FIELDS:,} fields")
    start += struct.calcsize(layout.number_of_fields)
    size = struct.calcsize(layout.field)
    fields: dict[int, _Field] = {}
    for place in range(start, start + count * size, size):
        tag, *rest = struct.unpack_from(layout.field, content, place)
        if tag in NEEDED or tag in (ORIENTATION, SUBFILE):
            field = fields.setdefault(tag, _Field(*rest))
            if field.length > (MOST_PARTS if tag in PARTS else MOST_BYTES // SIZES.get(field.kind, 1)):
                raise DamagedImage(f"its field {tag} has {field.length:,} values")
    return fields


def _has_more(content: bytes, layout: _Layout) -> bool:
    """Say whether a further page follows: a directory that is not marked as a smaller copy (tag 254, bit 0)."""
    try:
        (start,) = struct.unpack_from(layout.offset, content, 8 if layout.is_big else 4)
        (following,) = struct.unpack_from(layout.offset, content, _end_of_fields(content, layout, start))
        if not following:
            return False
        kind = _fields(content, layout, following).get(SUBFILE)
        return not (kind and _number(content, layout, kind) & 1)
    except (struct.error, DamagedImage):
        return False


def _end_of_fields(content: bytes, layout: _Layout, start: int) -> int:
    (count,) = struct.unpack_from(layout.number_of_fields, content, start)
    return int(start + struct.calcsize(layout.number_of_fields) + count * struct.calcsize(layout.field))


def _number(content: bytes, layout: _Layout, field: _Field) -> int:
    """Return the first value of a field of whole numbers; 0 for one of another kind."""
    letter = INTEGERS.get(field.kind)
    if letter is None or not field.length:
        return 0
    place, source = 0, field.raw
    if SIZES[field.kind] * field.length > len(field.raw):
        (place,) = struct.unpack(layout.offset, field.raw)
        source = content
    return int(struct.unpack_from(layout.order + letter, source, place)[0])


def _bytes_of_a_part(numbers: dict[int, int], samples: int, bits: int) -> int:
    """Return the bytes of an unpacked strip or tile, which the decoder holds beside the picture."""
    across = numbers.get(TILE_WIDTH) or numbers[WIDTH]
    down = numbers.get(TILE_LENGTH) or min(numbers.get(ROWS_A_STRIP) or numbers[HEIGHT], numbers[HEIGHT])
    # As much for a compression that is unpacked to four bytes a pixel whatever it holds.
    return across * down * max(4, samples * max(1, bits // 8))


def _with_directory(content: bytes, layout: _Layout, fields: dict[int, _Field]) -> bytes:
    """Return the file with a directory of the needed fields at its end, and no other."""
    at = len(content) + len(content) % 2
    kept = sorted((tag, field) for tag, field in fields.items() if tag in NEEDED)
    directory = b"".join(
        (
            struct.pack(layout.number_of_fields, len(kept)),
            *(struct.pack(layout.field, tag, *field) for tag, field in kept),
            struct.pack(layout.offset, 0),
        )
    )
    head = content[: 8 if layout.is_big else 4] + struct.pack(layout.offset, at)
    return b"".join((head, content[len(head) :], b"\0" * (at - len(content)), directory))
