"""One photo of a project, read out of its upload without the rest of it."""

import struct
import zipfile
import zlib

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


def photo_of(example: Example) -> bytes:
    """Return the file of a photo. Raises `NoPhoto`, `BucketError`."""
    if example.offset is None or example.packed is None or example.packed > LARGEST:
        raise NoPhoto("It is not known where this photo lies in its upload.")
    begin = example.offset
    whole = range(begin, min(begin + HEADER + LONGEST_EXTRA + example.packed, example.shard.size))
    with get_bucket().open(example.shard.key, whole) as source:
        content = b"".join(source)
    if not content.startswith(SIGNATURE):
        raise NoPhoto("The upload is not the one that was looked at.")
    name, extra = struct.unpack_from("<HH", content, 26)
    start = HEADER + name + extra
    packed = content[start : start + example.packed]
    if len(packed) < example.packed:  # with a very long name
        with get_bucket().open(
            example.shard.key, range(begin + start, begin + start + example.packed)
        ) as source:
            packed = b"".join(source)
    if example.method == zipfile.ZIP_STORED:
        return packed
    if example.method == zipfile.ZIP_DEFLATED:
        return _inflated(packed)
    raise NoPhoto("The archive's compression cannot be read in part.")


def _inflated(packed: bytes) -> bytes:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = decompressor.decompress(packed, LARGEST)
    except zlib.error as error:
        raise NoPhoto(f"The photo cannot be unpacked ({error}).") from error
    if decompressor.unconsumed_tail:
        raise NoPhoto("The photo is larger than a photo may be.")
    return content


def small_photo(example: Example, side: int) -> bytes:
    """Return a photo as a small JPEG. Raises what `photo_of` raises, and `InvalidInput`."""
    return thumbnail(photo_of(example), side)
