"""What a bucket does, wherever it lies, and what it raises.

A key is a path of names with slashes; one that ends with a slash is a folder, as is the empty one (the whole
bucket). Readers see one whole version of a key at any moment, never a part of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from core.exceptions import BucketError

PIECE = 2**20  # bytes of a file that are in memory at once


class Stored(NamedTuple):
    """A document's bytes and the ETag under which they were found."""

    body: bytes
    etag: str


class Conflict(Exception):
    """The document is not the one that was read: read it again, merge again."""


class Missing(BucketError):
    """There is no file under this key (any more)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no {key} in the bucket.")


class Reader(ABC):
    """A file that is open for reading, or a part of it. Iterating yields pieces; leaving `with` closes it."""

    size: int  # bytes of the whole file, when it was opened

    @abstractmethod
    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, at least one before the end; all that is left for a negative size.

        Raises `BucketError` when they cannot be read, or when the file is another one by now.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file and its connection."""

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(PIECE):
            yield piece

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Bucket(ABC):
    """Documents and files by key. Every method raises `BucketError` when the bucket does not answer.

    Where a method takes `if_match`, it writes only while the document's ETag is that one, or, for
    None, while there is no document; it raises `Conflict` when another process was first.
    """

    @abstractmethod
    def get(self, key: str) -> Stored | None:
        """Read a document; None when there is none."""

    @abstractmethod
    def head(self, key: str) -> str | None:
        """Return a document's ETag without reading it; None when there is none."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return a file's bytes; None when there is none."""

    @abstractmethod
    def open(self, key: str, part: range | None = None) -> Reader:
        """Open a file of any size, or a part of it that is not empty. Raises `Missing`.

        A part that the file does not have raises `BucketError`, here or when its end is read.
        """

    @abstractmethod
    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        """Write a document; returns its new ETag."""

    @abstractmethod
    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_match: str | None) -> str:
        """Write a document of any size in bounded memory; returns its new ETag."""

    @abstractmethod
    def save(self, key: str, source: BinaryIO) -> None:
        """Write a file of any size in bounded memory, whatever was there before."""

    @abstractmethod
    def list(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield key and bytes of everything below a folder."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a document of any size inside the bucket."""

    @abstractmethod
    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Remove a file, or, with an ETag, only the document that has it; none there is fine."""

    @abstractmethod
    def delete_folder(self, folder: str) -> int:
        """Remove everything below a folder; returns how many files there were."""

    @abstractmethod
    def signed_address(
        self, key: str, *, disposition: str, content_type: str, lasts: timedelta
    ) -> str | None:
        """Return an address from which anybody may fetch a file for a while, with these headers.

        None when this bucket has no server of its own that could answer.
        """
