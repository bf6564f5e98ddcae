"""Files that are packed whole: by gzip, bzip2, xz or Zstandard, which their first bytes tell. In bounded memory."""

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, cast

from .bounded_file import buffered

XZ_MEMORY = 128 << 20  # bytes; `xz -9` takes 65 MB. Zstandard's decoder has the same bound by itself
PACKED_AT_ONCE = 1 << 16  # bytes
LONGEST_START = 16  # bytes that tell the kinds apart


class _XzFile(io.RawIOBase):
    """One or several streams of xz, whose dictionaries may have a bounded size."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._stream: lzma.LZMADecompressor | None = None
        self._packed = b""

    def read(self, size: int = -1, /) -> bytes:
        """Unpack up to `size` bytes. Raises `lzma.LZMAError` or `EOFError` for damaged data."""
        piece = b""
        while not piece:
            if self._stream is None or self._stream.eof:
                if not self._begin():
                    return b""
            elif self._stream.needs_input:
                self._packed = self._file.read(PACKED_AT_ONCE)
                if not self._packed:
                    raise EOFError("it was cut off")
            assert self._stream is not None
            piece, self._packed = self._stream.decompress(self._packed, size), b""
        return piece

    def _begin(self) -> bool:
        """Go on to the next stream; returns whether there is one. Zero bytes may lie between two."""
        rest = (self._stream.unused_data if self._stream else b"").lstrip(b"\0")
        while not rest:
            rest = self._file.read(PACKED_AT_ONCE)
            if not rest:
                return False
            rest = rest.lstrip(b"\0")
        self._stream, self._packed = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY), rest
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _zstandard(path: Path) -> IO[bytes]:
    import pyarrow  # 50 MB of memory, which only those who read such files shall pay

    return cast("IO[bytes]", pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))


OPENERS: tuple[tuple[re.Pattern[bytes], Callable[[Path], object]], ...] = (
    (re.compile(rb"\x1f\x8b"), gzip.GzipFile),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.BZ2File),
    (re.compile(rb"\xfd7zXZ\0"), _XzFile),
    (re.compile(rb"\x28\xb5\x2f\xfd"), _zstandard),
)


def is_packed(start: bytes) -> bool:
    """Tell whether a file that begins so is packed as a whole."""
    return any(pattern.match(start) for pattern, _ in OPENERS)


def open_unpacked(path: Path, most: int) -> BinaryIO:
    """Open what a file holds packed, or the file itself where it is not.

    Reading raises `DataError` beyond `most` bytes, and for damaged data.
    """
    with path.open("rb") as file:
        start = file.read(LONGEST_START)
    opener = next((opener for pattern, opener in OPENERS if pattern.match(start)), None)
    return buffered(cast("IO[bytes]", opener(path) if opener else path.open("rb")), most)
