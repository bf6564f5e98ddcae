"""The boxes that HEIC, HEIF and AVIF files are made of (ISO/IEC 14496-12 and 23008-12): one still picture.

Only what decides about the picture and its cost is looked at, within bounds; a decoder then sees the file without
its films and whatever else lies beside the items.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from .base import MOST_SEGMENTS, DamagedImage, ExcessiveImage, UnknownFormat

MOST_ITEMS = 5000  # a photo of a phone is made of some hundred tiles
MOST_BOXES = 10_000
GRID = b"grid"
SLACK = 64  # pixels: codecs round a picture up to whole blocks
KEPT = frozenset({b"meta", b"mdat", b"idat"})
STILL_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
FILM_BRANDS = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avis"}


class Box(NamedTuple):
    """A box: its kind, where it begins, where its content begins and ends."""

    kind: bytes
    at: int
    start: int
    end: int


class Property(NamedTuple):
    """What is said of an item, such as its size."""

    kind: bytes
    value: bytes


@dataclass
class Item:
    """A picture, a tile of one, or data about one."""

    kind: bytes = b""
    properties: list[Property] = field(default_factory=list)
    tiles: list[int] = field(default_factory=list)
    in_meta: bool = False  # its bytes lie in the list of items itself
    extents: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Return the width and the height in pixels, before it is turned. Raises `DamagedImage`."""
        for kind, value in self.properties:
            if kind == b"ispe":
                width, height = struct.unpack_from(">4xII", value)
                if width and height:
                    return int(width), int(height)
        raise DamagedImage("it does not say how many pixels it has")


@dataclass(frozen=True)
class Pictures:
    """The items of a file, and which of them is the picture."""

    content: bytes
    primary: int
    items: dict[int, Item]
    inner: Box | None  # bytes beside the list of items

    def data(self, item: Item) -> bytes:
        """Return an item's bytes. Raises `DamagedImage`."""
        start, end = 0, len(self.content)
        if item.in_meta:
            if self.inner is None:
                raise DamagedImage("a part of it is missing")
            start, end = self.inner.start, self.inner.end
        pieces = [
            self.content[start + at : end if not length else start + at + length]
            for at, length in item.extents
            if start + at + length <= end
        ]
        if len(pieces) != len(item.extents) or sum(map(len, pieces)) > len(self.content):
            raise DamagedImage("it ends before its pixels do")
        return b"".join(pieces)


def brands(content: bytes) -> set[bytes]:
    """Return the formats that a file says it follows, the first one foremost; none for another kind of file."""
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4], "big"), len(content), 1024)
    return {content[8:12], *(content[at : at + 4] for at in range(16, end - 3, 4))}


def still(content: bytes, brand: bytes) -> bytes:
    """Return the file as one of a single picture, of format `brand`, each byte at the same place."""
    result = bytearray(content)
    for box in _boxes(content, 0, len(content)):
        if box.kind == b"ftyp":
            result[box.start : box.start + 4] = brand
            for at in range(box.start + 8, box.end - 3, 4):
                if content[at : at + 4] in FILM_BRANDS:
                    result[at : at + 4] = b"mif1"
        elif box.kind not in KEPT:
            result[box.at + 4 : box.at + 8] = b"free"
    return bytes(result)


def read_pictures(content: bytes) -> Pictures:
    """Return a file's items. Raises `DamagedImage`, and `ExcessiveImage` for too many."""
    try:
        return _pictures(content)
    except (struct.error, IndexError) as error:
        raise DamagedImage("its header is cut off") from error


def _boxes(content: bytes, start: int, end: int) -> Iterator[Box]:
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", content, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start + 8)
            head = 16
        stop = end if size == 0 else start + size
        if stop < start + head or stop > end:
            raise DamagedImage("a part of it is cut off")
        yield Box(kind, start, start + head, stop)
        start = stop
    raise ExcessiveImage(f"The image file has more than {MOST_BOXES:,} parts. Save it as an ordinary JPEG.")


def _pictures(content: bytes) -> Pictures:
    meta = next((box for box in _boxes(content, 0, len(content)) if box.kind == b"meta"), None)
    if meta is None:
        raise DamagedImage("it holds no still picture")
    parts = {box.kind: box for box in _boxes(content, meta.start + 4, meta.end)}
    if not {b"pitm", b"iinf", b"iloc", b"iprp"} <= set(parts):
        raise DamagedImage("it holds no still picture")
    primary = _number(content, parts[b"pitm"].start + 4, 4 if content[parts[b"pitm"].start] else 2)
    items = _kinds(content, parts[b"iinf"])
    _places(content, parts[b"iloc"], items)
    _properties(content, parts[b"iprp"], items)
    if b"iref" in parts:
        _tiles(content, parts[b"iref"], items)
    if primary not in items:
        raise DamagedImage("it holds no still picture")
    return Pictures(content, primary, items, parts.get(b"idat"))


def _number(content: bytes, at: int, size: int) -> int:
    if at + size > len(content):
        raise DamagedImage("its header is cut off")
    return int.from_bytes(content[at : at + size], "big")


def _kinds(content: bytes, box: Box) -> dict[int, Item]:
    items: dict[int, Item] = {}
    for entry in _boxes(content, box.start + (8 if content[box.start] else 6), box.end):
        version, wide = content[entry.start], 4 if content[entry.start] == 3 else 2
        if entry.kind == b"infe" and version >= 2:
            name = entry.start + 4 + wide + 2
            items[_number(content, entry.start + 4, wide)] = Item(content[name : name + 4])
        if len(items) > MOST_ITEMS:
            raise ExcessiveImage(
                f"The image has more than {MOST_ITEMS:,} parts. Save it as an ordinary JPEG."
            )
    return items


def _places(content: bytes, box: Box, items: dict[int, Item]) -> None:
    version, sizes, at = content[box.start], content[box.start + 4 : box.start + 6], box.start + 6
    for_offset, for_length, for_base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    for_index = sizes[1] & 15 if version else 0
    wide = 4 if version == 2 else 2
    count, at, extents = _number(content, at, wide), at + wide, 0
    for _ in range(count):
        item = items.get(_number(content, at, wide), Item())
        at += wide
        if version:
            item.in_meta = _number(content, at, 2) & 15 == 1
            at += 2
        base, at = _number(content, at + 2, for_base), at + 2 + for_base
        parts, at = _number(content, at, 2), at + 2
        extents += parts + 1
        if extents > MOST_SEGMENTS or at > box.end:
            raise DamagedImage(f"it has more than {MOST_SEGMENTS:,} parts")
        for _ in range(parts):
            at += for_index
            offset = base + _number(content, at, for_offset)
            item.extents.append((offset, _number(content, at + for_offset, for_length)))
            at += for_offset + for_length


def _properties(content: bytes, box: Box, items: dict[int, Item]) -> None:
    known: list[Property] = []
    associated = 0
    for part in _boxes(content, box.start, box.end):
        if part.kind == b"ipco":
            for one in _boxes(content, part.start, part.end):
                known.append(Property(one.kind, content[one.start : one.end]))
        elif part.kind == b"ipma":
            wide, long = 4 if content[part.start] else 2, content[part.start + 3] & 1
            count, at = _number(content, part.start + 4, 4), part.start + 8
            for _ in range(min(count, MOST_ITEMS)):
                item = items.get(_number(content, at, wide), Item())
                number, at = content[at + wide], at + wide + 1
                for _ in range(number):
                    index = _number(content, at, 2) & 0x7FFF if long else content[at] & 0x7F
                    at += 2 if long else 1
                    associated += 1
                    if 0 < index <= len(known) and associated < MOST_SEGMENTS:
                        item.properties.append(known[index - 1])


def _tiles(content: bytes, box: Box, items: dict[int, Item]) -> None:
    wide, total = 4 if content[box.start] else 2, 0
    for reference in _boxes(content, box.start + 4, box.end):
        if reference.kind != b"dimg":
            continue
        item = items.get(_number(content, reference.start, wide), Item())
        count = _number(content, reference.start + wide, 2)
        total += count
        if total > MOST_SEGMENTS:
            raise ExcessiveImage("The image has too many tiles. Save it as an ordinary JPEG.")
        first = reference.start + wide + 2
        item.tiles.extend(_number(content, first + wide * number, wide) for number in range(count))


class Coded(NamedTuple):
    """What a codec's own headers say: the largest picture, and how many pictures there are."""

    width: int
    height: int
    pictures: int


class Cost(NamedTuple):
    """What decoding takes: passes over all pixels of the picture, and the pixels of the largest coded part."""

    passes: int
    largest: int


def cost_of(pictures: Pictures, kinds: tuple[bytes, ...], read_coded: Callable[[Item, bytes], Coded]) -> Cost:
    """Return what decoding the primary picture costs, when its parts are coded as one of `kinds`.

    Raises `DamagedImage`, and `UnknownFormat` for a picture that is derived otherwise than from tiles.
    """
    picture = pictures.items[pictures.primary]
    if picture.kind not in (*kinds, GRID):
        raise UnknownFormat("The image file holds its picture in a form that is not read. Save it as JPEG.")
    pixels, largest = 0, 1
    sizes: dict[int, int] = {}
    for number, item in pictures.items.items():
        if item.kind == GRID:
            _check_grid(item, pictures.data(item))
        elif item.kind in kinds:
            width, height = item.size
            coded = read_coded(item, pictures.data(item))
            if coded.width > width + SLACK or coded.height > height + SLACK:
                raise DamagedImage("its header contradicts itself")
            sizes[number] = max(width * height, coded.width * coded.height) * max(1, coded.pictures)
            largest = max(largest, sizes[number] // max(1, coded.pictures))
    pixels = sum(sizes.values())
    pixels += sum(sizes.get(tile, 0) for item in pictures.items.values() for tile in item.tiles)
    width, height = picture.size
    return Cost(ceil(pixels / (width * height)), largest)


def _check_grid(item: Item, described: bytes) -> None:
    """Raise `DamagedImage` when what puts tiles together says another size than the file does."""
    _, flags, rows, columns = described[:4]
    size = struct.unpack_from(">II" if flags & 1 else ">HH", described, 4)
    if size != item.size or len(item.tiles) != (rows + 1) * (columns + 1):
        raise DamagedImage("its header contradicts itself")


def turned_size(item: Item) -> tuple[int, int]:
    """Return a picture's size after what the file says is done to it: cut out, turned."""
    width, height = item.size
    for kind, value in item.properties:
        if kind == b"clap":
            across, by, down, by_down = struct.unpack_from(">IIII", value)
            width, height = min(width, across // max(1, by)), min(height, down // max(1, by_down))
        elif kind == b"irot" and value[0] & 1:
            width, height = height, width
    if not width or not height:
        raise DamagedImage("it has no pixels")
    return width, height


# Of a turn by so many quarters against the clock, then none, up and down, left and right (`imir`'s axis).
ORIENTATIONS = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))


def orientation(item: Item) -> int:
    """Return EXIF's number for how a picture is to be turned and mirrored."""
    turn, mirror = 0, 0
    for kind, value in item.properties:
        if kind == b"irot":
            turn = value[0] & 3
        elif kind == b"imir":
            mirror = 1 + (value[0] & 1)
    return ORIENTATIONS[turn][mirror]
