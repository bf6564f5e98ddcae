"""Files that are unpacked while they are read, with a bound on what comes out."""

import io
import zipfile
from typing import IO, BinaryIO, cast

from .errors import DataError

BUFFER = 1 << 16  # bytes


class BoundedFile(io.RawIOBase):
    """What is unpacked from a file. Raises `DataError` beyond `most` bytes, and for damaged data."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__()
        self._file, self._left, self._most = file, most, most

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpack into a buffer."""
        try:
            piece = self._file.read(len(buffer))
        except (
            OSError,
            EOFError,
            ValueError,
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(f"This file cannot be unpacked ({error}). Make it anew.") from error
        except Exception as error:  # zlib.error, lzma.LZMAError and the like
            raise DataError(f"This file is damaged ({error}). Make it anew.") from error
        self._left -= len(piece)
        if self._left < 0:
            raise DataError(f"This file unpacks to more than {self._most:,} bytes, the limit.")
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close the file that is unpacked."""
        if not self.closed:
            self._file.close()
        super().close()


def buffered(file: IO[bytes], most: int) -> BinaryIO:
    """Return a file that is unpacked as it is read, of at most so many bytes."""
    return cast("BinaryIO", io.BufferedReader(BoundedFile(file, most), BUFFER))
