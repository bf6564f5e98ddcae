"""What the reading of an upload reports from its child process: how far it is, what it has found, then its end.

The child writes each event as one line of JSON, `to_json`; the worker reads it with `validation_event`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

from ..event_format import Failure, UnknownEvent, read_event, value_of
from .labelled import FoundExample
from .report import DataReport

# "data": the file cannot be read; "memory": reading it takes more than there is; "internal": a fault of this program.
FailureKind = Literal["data", "memory", "internal"]


@dataclass(frozen=True)
class ExamplesRead:
    """`done` of `total` examples are read; `total` is 0 while it is not known."""

    event: ClassVar[str] = "read"

    done: int
    total: int

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, **vars(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        return cls(done=value_of(int, data, "done"), total=value_of(int, data, "total"))


@dataclass(frozen=True)
class Validated:
    """The end of a validation that could read the data; the report says whether it can be trained on."""

    event: ClassVar[str] = "report"

    report: DataReport

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, "report": self.report.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        try:
            return cls(DataReport(**value_of(dict, data, "report")))
        except TypeError as error:
            raise UnknownEvent(f"The report is incomplete or of another release: {error}.") from error


@dataclass(frozen=True)
class ExamplesFound:
    """Some of the readable examples, in the upload's order."""

    event: ClassVar[str] = "examples"

    examples: tuple[FoundExample, ...]

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, "examples": self.examples}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        try:
            return cls(tuple(FoundExample(*one) for one in value_of(list, data, "examples")))
        except TypeError as error:
            raise UnknownEvent(f"An example is incomplete or of another release: {error}.") from error


@dataclass(frozen=True)
class AllExamplesFound:
    """The end of a listing: every readable example has been reported.

    `columns` are those of a table that were read, `unreadable` the first of what could not be read, with the reason,
    and `unreadable_count` how many there are.
    """

    event: ClassVar[str] = "listed"

    columns: dict[str, str]
    unreadable: tuple[tuple[str, str], ...]
    unreadable_count: int

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, **vars(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        return cls(
            columns=value_of(dict, data, "columns"),
            unreadable=tuple((name, reason) for name, reason in value_of(list, data, "unreadable")),
            unreadable_count=value_of(int, data, "unreadable_count"),
        )


@dataclass(frozen=True)
class ValidationFailed(Failure):
    """The end of a reading that failed; `message` is for the owner if `kind` is "data"."""

    KINDS: ClassVar[tuple[str, ...]] = get_args(FailureKind)

    kind: FailureKind


Found = Validated | ExamplesFound | AllExamplesFound
ValidationEvent = ExamplesRead | Found | ValidationFailed
KNOWN: dict[str, type[ValidationEvent]] = {
    kind.event: kind for kind in (ExamplesRead, Validated, ExamplesFound, AllExamplesFound, ValidationFailed)
}


def validation_event(data: object) -> ValidationEvent:
    """Read what an event's `to_json` made. Raises `UnknownEvent`, also for a key too many, too few or mistyped."""
    return read_event(data, KNOWN)
