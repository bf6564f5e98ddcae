"""What the tables look like in each document: the interface that apps implement and register."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel

from bucket.base import Reader
from core.exceptions import TrainyardError

from .merge import Json, Ownership


class Unusable(TrainyardError):
    """A document that others put into the bucket cannot be imported; the message gives the reason."""


class Postponed(TrainyardError):
    """Nothing is wrong with a document that others put into the bucket, but now is not the time for it."""


class Projection(ABC):
    """One document. `eager` ones are published when a transaction commits."""

    key: ClassVar[str]
    schema: ClassVar[type[BaseModel]]
    eager: ClassVar[bool] = True
    may_take: ClassVar[timedelta] = timedelta()  # to bring it into step once


class FieldsProjection(Projection):
    """A document of fixed fields, some of which are an operator's to edit."""

    ownership: ClassVar[Ownership] = Ownership()

    @abstractmethod
    def render(self) -> Json:
        """Return all of our fields."""

    @abstractmethod
    def canonical(self, document: Json) -> Json:
        """Return what a document says, in our spelling; fields that cannot be read are left out."""

    def follow(self, fields: Json) -> None:
        """Write an operator's edit of the document into our tables."""


@dataclass(frozen=True)
class Edit:
    """Fields of one of our rows that others changed in its entry.

    `ours` is what the row said when the two were merged: a row that has changed since keeps its value.
    """

    fields: Json
    ours: Json
    entry: Json


@dataclass(frozen=True)
class News:
    """What others did to a document of entries since we last looked."""

    brought: dict[str, object] = field(default_factory=dict)
    edited: dict[str, Edit] = field(default_factory=dict)
    vanished: dict[str, Json] = field(default_factory=dict)  # with what our rows said
    without_files: frozenset[str] = frozenset()  # those brought that are rows of ours whose files are gone


class EntriesProjection(Projection):
    """A document of entries by token."""

    ownership: ClassVar[Ownership] = Ownership()

    @abstractmethod
    def render(self, tokens: Collection[str] | None) -> dict[str, Json]:
        """Return the entries of those of the named rows that belong into the document; for None, of all.

        Two queries, however many there are.
        """

    @abstractmethod
    def canonical(self, entry: Json) -> Json:
        """Return what an entry says, in our spelling; fields that cannot be read are left out."""

    def has_files(self, token: str) -> bool:
        """Tell whether a row of ours has files, all of which are in the bucket. Raises `BucketError`."""
        return True

    def without_files(self, tokens: Collection[str]) -> frozenset[str]:
        """Return the tokens of rows that their entries would bring back, and whose files are gone.

        Raises `BucketError`.
        """
        return frozenset()

    @abstractmethod
    def follow(self, news: News) -> dict[str, str]:
        """Bring the news into our tables; called inside a transaction.

        Returns, for each entry that was brought, why it did not become a row; "" when it did, or
        when the token is ours already and the entry has to follow our tables.
        """


class StreamProjection(Projection):
    """A document too large for memory, which exists only part of the time."""

    eager = False
    may_take = timedelta(minutes=15)

    @abstractmethod
    def version(self) -> str | None:
        """Name what the document should hold now; None when there should be no document."""

    @abstractmethod
    def chunks(self, version: str) -> Iterator[bytes]:
        """Produce the document piece by piece."""

    def import_document(self, source: Reader, *, etag: str) -> None:
        """Import a document that another program put there; outside of any transaction.

        Importing the same document once more changes nothing. Raises `Unusable` or `Postponed`.
        """
        raise Unusable("This platform writes the document and does not read it.")


_registered: dict[str, Projection] = {}


def add(projection: Projection) -> None:
    """Make a projection known under its document's key, in place of one that was known before."""
    _registered[projection.key] = projection


def get(key: str) -> Projection:
    """Return the projection of a document; ValueError names the known ones."""
    try:
        return _registered[key]
    except KeyError:
        raise ValueError(f"No document {key!r}. Known: {', '.join(sorted(_registered))}.") from None


def registered() -> list[Projection]:
    """Return all projections in a stable order."""
    return [_registered[key] for key in sorted(_registered)]
