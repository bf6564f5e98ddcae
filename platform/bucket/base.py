"""What a bucket does, wherever it lies, and what it raises."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from core.exceptions import BucketError

READ_AT_ONCE = 2**20


class Stored(NamedTuple):
    """A document's bytes and the ETag under which they were found."""

    body: bytes
    etag: str


class Conflict(Exception):
    """The document is not the one we read: read it again, merge again."""


class Missing(BucketError):
    """There is no file under this key (any more)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no {key} in the bucket.")


class Bucket(ABC):
    """Documents by key. Every method raises `BucketError` when the bucket does not answer.

    Where a method takes `if_match`, it writes only while the document's ETag is that one, or, for
    None, while there is no document; it raises `Conflict` when somebody else was first.
    """

    @abstractmethod
    def get(self, key: str) -> Stored | None:
        """Read a document; None when there is none."""

    @abstractmethod
    def head(self, key: str) -> str | None:
        """Return a document's ETag without reading it; None when there is none."""

    @abstractmethod
    def open(self, key: str) -> "contextlib.AbstractContextManager[BinaryIO | None]":
        """Open a document of any size for reading from its begin to its end; None when there is none."""

    @abstractmethod
    def pieces(self, key: str, part: range) -> Generator[bytes, None, None]:
        """Yield a part of a file, in memory of one piece, however slowly they are taken.

        Raises `Missing` for a file that is not there, `BucketError` when it goes, changes or ends meanwhile.
        """

    @abstractmethod
    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        """Write a document; returns its new ETag."""

    @abstractmethod
    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_match: str | None) -> str:
        """Write a document of any size in bounded memory; it appears whole or not at all."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and bytes of everything below a prefix."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a document of any size inside the bucket."""

    @abstractmethod
    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Remove a document, or only the one with this ETag; none there is fine."""
