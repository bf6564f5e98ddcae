"""HEIC files made box by box around one coded picture, so that tests can say whatever a file may say."""

import base64
import struct

# A picture of 64 by 64 pixels, coded by HEVC: white at the top left, a quarter of it, and black elsewhere.
PARAMETERS = base64.b64decode(
    "AQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq"
    "SSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQA=="
)
CODED = base64.b64decode("AAAAGygBrxOA5shoU+ofumXfA//96IJs///zUwBs8A==")
SIDE = 64
PICTURE, FIRST_TILE = 1, 2


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box of ISO/IEC 14496-12."""
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def size_of(width: int, height: int) -> bytes:
    """Return the property that says an item's size."""
    return box(b"ispe", struct.pack(">III", 0, width, height))


def turned(quarters: int = 0, mirror: int | None = None) -> list[bytes]:
    """Return the properties of a picture to be turned against the clock, then mirrored."""
    mirrored = [] if mirror is None else [box(b"imir", bytes([mirror]))]
    return [box(b"irot", bytes([quarters])), *mirrored]


def heic(
    *,
    size: tuple[int, int] = (SIDE, SIDE),
    coded: bytes = CODED,
    turn: list[bytes] | None = None,
    kind: bytes = b"hvc1",
    beside: bytes = b"",
    brand: bytes = b"heic",
) -> bytes:
    """Return a file of one picture."""
    about = [size_of(*size), box(b"hvcC", PARAMETERS), *(turn or [])]
    return _file([(kind, coded, about)], [], beside, brand)


def heic_of_tiles(
    columns: int,
    rows: int,
    *,
    size: tuple[int, int] | None = None,
    turn: list[bytes] | None = None,
    described: bytes | None = None,
    of_one: bool = False,
) -> bytes:
    """Return a file of one picture, of tiles as phones write it; `of_one`: the same tile again and again."""
    width, height = size or (columns * SIDE, rows * SIDE)
    grid = described or struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    tile = (b"hvc1", CODED, [size_of(SIDE, SIDE), box(b"hvcC", PARAMETERS)])
    count = columns * rows
    numbers = [FIRST_TILE] * count if of_one else list(range(FIRST_TILE, FIRST_TILE + count))
    return _file(
        [(b"grid", grid, [size_of(width, height), *(turn or [])]), *[tile] * (1 if of_one else count)],
        numbers,
    )


def _file(
    items: list[tuple[bytes, bytes, list[bytes]]],
    tiles: list[int],
    beside: bytes = b"",
    brand: bytes = b"heic",
) -> bytes:
    head = box(b"ftyp", brand, b"\0\0\0\0", b"mif1", b"heic") + beside
    names, places, known, said = b"", b"", b"", b""
    number_of_properties, offset = 0, 0
    for number, (kind, content, properties) in enumerate(items, start=PICTURE):
        names += box(b"infe", struct.pack(">IHH4sx", 2 << 24, number, 0, kind))
        places += struct.pack(">HHHII", number, 0, 1, offset, len(content))
        offset += len(content)
        indices = range(number_of_properties + 1, number_of_properties + 1 + len(properties))
        said += struct.pack(">HB", number, len(properties)) + b"".join(
            struct.pack(">H", 0x8000 | at) for at in indices
        )
        known += b"".join(properties)
        number_of_properties += len(properties)

    def meta(start: int) -> bytes:
        moved = b"".join(
            struct.pack(">HHHII", *fields[:3], fields[3] + start, fields[4])
            for fields in struct.iter_unpack(">HHHII", places)
        )
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, PICTURE)),
            box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", len(items)), moved),
            box(b"iinf", struct.pack(">IH", 0, len(items)), names),
            box(
                b"iref", bytes(4), box(b"dimg", struct.pack(f">HH{len(tiles)}H", PICTURE, len(tiles), *tiles))
            )
            if tiles
            else b"",
            box(b"iprp", box(b"ipco", known), box(b"ipma", struct.pack(">II", 1, len(items)), said)),
        )

    data = b"".join(content for _, content, _ in items)
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", data)
