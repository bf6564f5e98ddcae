"""What is on its way between the web server and its clients: how slow it may be, and where it waits meanwhile."""

import contextlib
import errno
import os
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Protocol

IN_MEMORY = 128 * 2**10  # bytes of one body or answer; what is longer lies in a file without a name
CHUNK_BYTES = 128 * 2**10  # bytes
LOOKS_AFTER = 16 * 2**20  # bytes of an answer that waits; then at the disk's room again
GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN, errno.ETIMEDOUT})

# A transfer that makes a pause of so many seconds, or is slower on average after the first seconds, is given up.
PAUSE = 30.0
GRACE = 20.0
BYTES_PER_SECOND = 1000


@dataclass
class Progress:
    """How far a transfer is, and until when something has to move."""

    moved: int = 0
    began: float = field(default_factory=time.monotonic)
    last: float = 0.0

    def __post_init__(self) -> None:
        self.last = self.began

    def move(self, count: int) -> None:
        """Note that so many bytes have gone over the line."""
        self.moved += count
        self.last = time.monotonic()

    @property
    def deadline(self) -> float:
        """When the client has paused for too long, or is too slow."""
        return min(self.last + PAUSE, self.began + GRACE + self.moved / BYTES_PER_SECOND)


def waiting_room(folder: str) -> IO[bytes]:
    """Return an empty file for bytes that wait: in memory, and in the folder once they are many."""
    return tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder)


class _Piece(Protocol):
    """A part of an answer that the client has not taken yet."""

    def send(self, sock: socket.socket) -> int:
        """Send as much as the client takes; returns how many bytes that was."""

    @property
    def is_over(self) -> bool:
        """Whether all of it has been sent."""

    def close(self) -> None:
        """Forget it."""


class _Bytes:
    """What was written, in order."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._file = waiting_room(folder)
        self._sent = self._size = 0
        self._may_have = IN_MEMORY

    def add(self, data: bytes) -> None:
        """Append bytes. Raises `OSError` when they would take more than half of what is free on the disk."""
        if self._size + len(data) > self._may_have:
            if self._size > shutil.disk_usage(self._folder).free:
                raise OSError(errno.ENOSPC, "There is no room for what a slow client has not taken yet.")
            self._may_have = self._size + len(data) + LOOKS_AFTER
        self._file.seek(self._size)
        self._file.write(data)
        self._size += len(data)

    @property
    def is_over(self) -> bool:
        return self._sent == self._size

    def send(self, sock: socket.socket) -> int:
        self._file.seek(self._sent)
        sent = _send(sock, self._file.read(CHUNK_BYTES))
        self._sent += sent
        return sent

    def close(self) -> None:
        self._file.close()


class _File:
    """A stretch of a file on this machine, which the kernel sends from where it lies."""

    def __init__(self, number: int, offset: int, size: int) -> None:
        self._number = os.dup(number)
        self._offset, self._end = offset, offset + size

    @property
    def is_over(self) -> bool:
        return self._offset >= self._end

    def send(self, sock: socket.socket) -> int:
        left = min(self._end - self._offset, 2**30)
        try:
            sent = os.sendfile(sock.fileno(), self._number, self._offset, left)
        except BlockingIOError:
            return 0
        if not sent:
            raise OSError(errno.EIO, "The file has become shorter while it was sent.")
        self._offset += sent
        return sent

    def close(self) -> None:
        os.close(self._number)


class Outbox:
    """What takes the place of the socket for who writes an answer: it never waits for the client.

    What the client does not take at once is kept, for the loop to send later. One thread uses it at a time.
    Raises `OSError` when the client is gone.
    """

    def __init__(self, sock: socket.socket, folder: str) -> None:
        self._sock, self._folder = sock, folder
        self._pieces: deque[_Bytes | _File] = deque()
        self._together: list[bytes] | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Send what is written in the block at its end, in one packet where it fits; nothing when it raises."""
        written: list[bytes] = []
        self._together = written
        try:
            yield
        finally:
            self._together = None
        self.sendall(b"".join(written))

    def sendall(self, data: bytes) -> None:
        """Send bytes, or keep them."""
        if self._together is not None:
            self._together.append(data)
            return
        if self._pieces:
            self.flush()
        if not self._pieces:
            data = data[_send(self._sock, data) :]
        if data:
            if not (self._pieces and isinstance(self._pieces[-1], _Bytes)):
                self._pieces.append(_Bytes(self._folder))
            self._pieces[-1].add(data)  # type: ignore[union-attr]

    def send(self, data: bytes) -> int:
        """Send bytes, or keep them; returns their number."""
        self.sendall(data)
        return len(data)

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a stretch of a file, or keep it open; returns its bytes."""
        size = os.fstat(file.fileno()).st_size - offset if count is None else count
        self._pieces.append(_File(file.fileno(), offset, size))
        self.flush()
        return size

    def gettimeout(self) -> float:
        """Tell that this never waits, as a socket does."""
        return 0.0

    @property
    def is_empty(self) -> bool:
        """Whether the kernel has everything."""
        return not self._pieces

    def flush(self) -> int:
        """Send as much as the client takes now; returns how many bytes that was."""
        total = 0
        while self._pieces:
            piece = self._pieces[0]
            if not piece.is_over:
                sent = piece.send(self._sock)
                total += sent
                if not sent:
                    break
            if piece.is_over:
                self._pieces.popleft().close()
        return total

    def close(self) -> None:
        """Forget what has not been sent."""
        while self._pieces:
            with contextlib.suppress(OSError):
                self._pieces.popleft().close()


def _send(sock: socket.socket, data: bytes) -> int:
    try:
        return sock.send(data) if data else 0
    except BlockingIOError:
        return 0
