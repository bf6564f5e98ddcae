"""What the files of one archive may cost together, counted while they are read."""

import zipfile

from models_registry.artifacts.decoding import inspect
from models_registry.artifacts.errors import InvalidInput

from .archives import read_member
from .errors import DataError, ImageTooLarge
from .limits import Limits

PIXELS_A_BYTE = 100  # of the archive; photos have 2 to 10, pages in black and white some 200
BYTES_OF_A_SMALL_ONE = 1 << 30  # unpacked


class TooManyPixels(DataError):
    """An archive whose images take far longer to decode than those of others of its size."""


class ArchiveBudget:
    """Adds up bytes and pixels, and says when it is enough."""

    def __init__(self, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], limits: Limits) -> None:
        self._limits = limits
        size = sum(member.compress_size for member in members)
        self._most_pixels = limits.max_archive_pixels + PIXELS_A_BYTE * size
        self._most_bytes = min(limits.max_bytes, BYTES_OF_A_SMALL_ONE + limits.max_compression_ratio * size)
        self._archive = archive
        self._bytes = self._pixels = 0

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """Return a file of the archive.

        Raises `DataError` when it, or all together, are over the limits; `ImageTooLarge` for an image alone.
        """
        try:
            content = read_member(self._archive, member, self._limits)
        except ImageTooLarge:
            self._count_bytes(self._limits.max_entry_bytes)
            raise
        self._count_bytes(len(content))
        return content

    def _count_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._most_bytes:
            raise DataError(
                f"The archive unpacks to more than {self._most_bytes:,} bytes, the limit for one of its size."
            )

    def count_pixels(self, content: bytes) -> None:
        """Count an image, before it is decoded; what is none counts nothing. Raises `TooManyPixels`."""
        try:
            pixels = inspect(content, max_pixels=self._limits.max_pixels).work
        except InvalidInput:
            return
        if self._pixels + pixels > self._most_pixels:
            raise TooManyPixels(
                f"The images have more than {self._most_pixels // 10**6:,} megapixels together, which is the limit "
                "for a file of this size. Scale them down, or take several files."
            )
        self._pixels += pixels
