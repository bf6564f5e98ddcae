"""One photo of an upload, read without the rest of it."""

import struct
import zipfile
import zlib
from typing import NamedTuple

from bucket.factory import get_bucket
from core.exceptions import BucketError

from ..engine.data.images import thumbnail
from .models import Example

# A file in a zip begins with a header of 30 bytes, its name and an extra field (section 4.3.7 of PKWARE's APPNOTE).
HEADER, SIGNATURE = 30, b"PK\3\4"
LONGEST_EXTRA = 1 << 10  # bytes of name and extra field that are read along
LARGEST = 96 << 20  # bytes of a photo, as of `Limits.max_entry_bytes`


class NoPhoto(BucketError):
    """The photo cannot be shown: its upload is gone, or packed in a way that only a reader of the whole knows."""


class PhotoPlace(NamedTuple):
    """Where a photo lies: the zip's key in the bucket and its bytes; None where that is not known of the photo.

    `offset` is where its header begins, `packed` how many bytes it takes, `method` of the zip's compression.
    """

    key: str
    size: int
    offset: int | None
    packed: int | None
    method: int | None


def photo_of(example: Example) -> bytes:
    """Return the file of a photo of a project. Raises `NoPhoto`, `BucketError`."""
    return photo_at(_place_of(example))


def photo_at(place: PhotoPlace) -> bytes:
    """Return the file of a photo. Raises `NoPhoto`, `BucketError`."""
    begin, length = place.offset, place.packed
    if begin is None or length is None or length > LARGEST:
        raise NoPhoto("It is not known where this photo lies in its upload.")
    content = _read(place.key, begin, min(begin + HEADER + LONGEST_EXTRA + length, place.size))
    if not content.startswith(SIGNATURE):
        raise NoPhoto("The upload is not the one that was looked at.")
    name, extra = struct.unpack_from("<HH", content, 26)
    start = HEADER + name + extra
    packed = content[start : start + length]
    if len(packed) < length:  # with a very long name
        packed = _read(place.key, begin + start, begin + start + length)
    if place.method == zipfile.ZIP_STORED:
        return packed
    if place.method == zipfile.ZIP_DEFLATED:
        return _inflated(packed)
    raise NoPhoto("The archive's compression cannot be read in part.")


def _place_of(example: Example) -> PhotoPlace:
    shard = example.shard
    return PhotoPlace(shard.key, shard.size, example.offset, example.packed, example.method)


def _read(key: str, begin: int, end: int) -> bytes:
    with get_bucket().open(key, range(begin, end)) as source:
        return b"".join(source)


def _inflated(packed: bytes) -> bytes:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = decompressor.decompress(packed, LARGEST)
    except zlib.error as error:
        raise NoPhoto(f"The photo cannot be unpacked ({error}).") from error
    if decompressor.unconsumed_tail:
        raise NoPhoto("The photo is larger than a photo may be.")
    return content


def small_photo(place: PhotoPlace | Example, side: int) -> bytes:
    """Return a photo as a small JPEG. Raises what `photo_at` raises, and `InvalidInput`."""
    return thumbnail(photo_at(_place_of(place) if isinstance(place, Example) else place), side)
