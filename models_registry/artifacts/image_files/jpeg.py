"""JPEG (ITU-T T.81), as cameras, phones and browsers write it."""

import re
import struct
from typing import NamedTuple

from .base import MOST_SEGMENTS, DamagedImage, ExcessiveImage, ImageFile
from .exif import orientation_of

SIGNATURES = (b"\xff\xd8\xff",)
# A marker; FF 00 within a scan is a byte of its data, and restarts (D0 to D7) belong to it. The fixed first byte
# makes the search twenty times as fast.
NEXT_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")
START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # Huffman, arithmetic, quantization, restart interval
SCAN, END, APP0, APP1, APP14 = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE
BYTES_A_COEFFICIENT = 2
MOST_SCANS = (
    100  # programs write ten or so; each takes the time of a pass over all pixels, however short it is
)


class _Frame(NamedTuple):
    marker: int
    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]  # of each component, across and down


def read(content: bytes) -> ImageFile:
    """Return the first picture, without what programs have written beside it.

    Raises `DamagedImage`, and `ExcessiveImage` for one of too many scans.
    """
    kept: list[bytes] = [b"\xff\xd8"]
    frame: _Frame | None = None
    orientation, position = 1, 2
    for _ in range(MOST_SEGMENTS):
        marker, start, end = _segment(content, position)
        if marker == END:
            break
        if marker == SCAN:
            if frame is None:
                break
            length, scans = _scans(content, start)
            kept.append(content[start : start + length])
            return _file(frame, b"".join(kept), orientation, scans, components=content[start + 4])
        if marker in START_OF_FRAME:
            if frame is not None:
                raise DamagedImage("it describes two pictures at once")
            frame = _frame(marker, content[start:end])
        elif marker == APP1 and content.startswith(b"Exif\0\0", start + 4) and orientation == 1:
            orientation = orientation_of(content[start + 4 : end])
        if marker in START_OF_FRAME or marker in TABLES or _says_colours(marker, content[start + 4 : end]):
            kept.append(content[start:end])
        position = end
    raise DamagedImage("it ends before its pixels begin")


def _segment(content: bytes, position: int) -> tuple[int, int, int]:
    """Return the marker of the next segment, where it begins and where it ends."""
    found = NEXT_MARKER.search(content, position)
    if found is None:
        raise DamagedImage("it ends before its pixels begin")
    start, marker = found.end() - 2, found[1][0]
    if marker == END:
        return marker, start, start + 2
    length = int.from_bytes(content[start + 2 : start + 4], "big")
    end = start + 2 + length
    if length < 2 or end > len(content):
        raise DamagedImage("a segment of its header is cut off")
    return marker, start, end


def _frame(marker: int, segment: bytes) -> _Frame:
    try:
        height, width, count = struct.unpack_from(">HHB", segment, 5)
        sampling = tuple((segment[11 + 3 * n] >> 4, segment[11 + 3 * n] & 15) for n in range(count))
    except (struct.error, IndexError) as error:
        raise DamagedImage("its header is cut off") from error
    if not (width and height and sampling and all(across and down for across, down in sampling)):
        raise DamagedImage("it has no pixels")
    return _Frame(marker, width, height, sampling)


def _says_colours(marker: int, payload: bytes) -> bool:
    return (marker == APP0 and payload.startswith(b"JFIF\0")) or (
        marker == APP14 and payload.startswith(b"Adobe")
    )


def _scans(content: bytes, position: int) -> tuple[int, int]:
    """Return the length of all scans together, up to the end of the picture, and how many they are.

    Raises `ExcessiveImage` when they are too many.
    """
    start, scans = position, 0
    for _ in range(MOST_SEGMENTS):
        found = NEXT_MARKER.search(content, position)
        if found is None:
            return len(content) - start, scans
        if found[1][0] == END:
            return found.end() - start, scans
        scans += found[1][0] == SCAN
        if scans > MOST_SCANS:
            raise ExcessiveImage(
                f"This JPEG has more than {MOST_SCANS} scans, the limit. Save it as an ordinary JPEG."
            )
        position = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    raise DamagedImage(f"it has more than {MOST_SEGMENTS:,} parts")


def _file(frame: _Frame, content: bytes, orientation: int, scans: int, components: int) -> ImageFile:
    pixels = frame.width * frame.height
    # More than one scan: libjpeg keeps the coefficients of all components until the last has come.
    several = frame.marker in PROGRESSIVE or components < len(frame.sampling)
    most = max(across for across, _ in frame.sampling) * max(down for _, down in frame.sampling)
    coefficients = sum(across * down for across, down in frame.sampling) / most
    return ImageFile(
        "JPEG",
        content,
        frame.width,
        frame.height,
        orientation,
        bytes_a_pixel=1 if len(frame.sampling) == 1 else 4,
        bytes_beside=BYTES_A_COEFFICIENT * coefficients * pixels if several else 0,
        passes=scans,
        shrinks=True,
    )
