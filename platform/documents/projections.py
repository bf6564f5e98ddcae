"""What the tables look like in each document: the interface that apps implement and register."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from core.exceptions import TrainyardError

from .merge import Json, Merged, merge_entries, merge_fields


class Unusable(TrainyardError):
    """A document that others put into the bucket cannot be taken in; the message says why."""


class Projection(ABC):
    """One document. `eager` ones are published when a transaction commits."""

    key: ClassVar[str]
    schema: ClassVar[type[BaseModel]]
    eager: ClassVar[bool] = True


class MergedProjection(Projection):
    """A document that is read, merged and written whole."""

    @abstractmethod
    def merge(self, *, base: Mapping[str, Any], entries: Iterable[str], theirs: Json | None) -> Merged:
        """Bring the changed `entries` (or the fields) of our tables into the document `theirs`."""

    @abstractmethod
    def remember(self, document: Json) -> Json:
        """Return what the next merge needs to know of the document just written."""

    def take(self, fields: dict[str, Any]) -> None:
        """Write an operator's edit of the document into our tables."""


class FieldsProjection(MergedProjection):
    """A document of fixed fields, some of which are an operator's to edit."""

    operator_fields: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def render(self) -> Json:
        """Return all of our fields."""

    def merge(self, *, base: Mapping[str, Any], entries: Iterable[str], theirs: Json | None) -> Merged:
        valid = theirs if theirs is not None and self._is_valid(theirs) else None
        operator = self.operator_fields if valid is not None else frozenset()
        return merge_fields(base=base, ours=self.render(), theirs=theirs, operator=operator)

    def remember(self, document: Json) -> Json:
        return {name: document[name] for name in self.render()}

    def _is_valid(self, document: Json) -> bool:
        try:
            self.schema.model_validate(document)
        except ValueError:
            return False
        return True


class EntriesProjection(MergedProjection):
    """A document of entries by token."""

    @abstractmethod
    def render(self, entries: Iterable[str] | None) -> dict[str, Json]:
        """Return the named entries that exist now; all of them for None. One query."""

    def merge(self, *, base: Mapping[str, Any], entries: Iterable[str], theirs: Json | None) -> Merged:
        if theirs is None:
            return merge_entries(ours=self.render(None), theirs=None)
        names = list(entries)
        return merge_entries(ours={**dict.fromkeys(names), **self.render(names)}, theirs=theirs)

    def remember(self, document: Json) -> Json:
        return {}


class StreamProjection(Projection):
    """A document too large for memory, which exists only part of the time."""

    eager = False

    @abstractmethod
    def version(self) -> str | None:
        """Name what the document should hold now; None when there should be no document."""

    @abstractmethod
    def chunks(self, version: str) -> Iterator[bytes]:
        """Produce the document piece by piece."""


_registered: dict[str, Projection] = {}


def register(projection: Projection) -> None:
    """Make a document known; called while the owning app becomes ready."""
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
