"""What the validation of a data set reports from its child process: how far it is, then its end.

The child writes each event as one line of JSON, `to_json`; the worker reads it with `validation_event`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

from ..event_format import Failure, UnknownEvent, read_event, value_of
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
class ValidationFailed(Failure):
    """The end of a validation that could not read the data; `message` is for the owner if `kind` is "data"."""

    KINDS: ClassVar[tuple[str, ...]] = get_args(FailureKind)

    kind: FailureKind


ValidationEvent = ExamplesRead | Validated | ValidationFailed
KNOWN: dict[str, type[ValidationEvent]] = {
    kind.event: kind for kind in (ExamplesRead, Validated, ValidationFailed)
}


def validation_event(data: object) -> ValidationEvent:
    """Read what an event's `to_json` made. Raises `UnknownEvent`, also for a key too many, too few or mistyped."""
    return read_event(data, KNOWN)
