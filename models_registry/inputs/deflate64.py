"""Deflate64, the method that Windows Explorer takes for what is larger than 2 GB; Python's zipfile does not know it."""

import zipfile
from typing import Protocol

from inflate64 import Inflater

# A few bits may stand for 65,538 bytes, and the library gives all that comes out of a piece at once: some MB at most.
FED_AT_ONCE = 512  # bytes


class Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool:
        """Return whether the end of the data was reached."""

    @property
    def needs_input(self) -> bool:
        """Return whether nothing more comes out of what was given."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take packed bytes and return unpacked ones."""


class Deflate64Decompressor:
    """Unpacks piece by piece. Raises `BadZipFile` for damaged data."""

    def __init__(self) -> None:
        self._inflater = Inflater()
        self._packed, self._at = b"", 0

    @property
    def eof(self) -> bool:
        """Return whether the end of the data was reached."""
        return bool(self._inflater.eof)

    @property
    def needs_input(self) -> bool:
        """Return whether all that was given has been unpacked."""
        return self._at >= len(self._packed)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take packed bytes and unpack some of them: `max_length` is kept to within what a small piece becomes."""
        if data:
            self._packed, self._at = self._packed[self._at :] + data, 0
        pieces, size = [], 0
        while not self.needs_input and not self.eof and (max_length < 0 or size < max_length):
            try:
                piece = self._inflater.inflate(self._packed[self._at : self._at + FED_AT_ONCE])
            except Exception as error:  # the library has no class for damaged data
                raise zipfile.BadZipFile(f"damaged Deflate64 data ({error})") from error
            self._at += FED_AT_ONCE
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)
