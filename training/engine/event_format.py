"""How events of a child process cross its pipe: one JSON object each, with the event's name in `event`.

Writer and reader are of one release, so that an event or a key which the reader does not know is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self, TypeVar


class UnknownEvent(ValueError):
    """A line of a child process is no event that this release knows."""


@dataclass(frozen=True)
class Failure:
    """The end of a process that failed. A subclass names the `KINDS` of failures, and says for whom a message is."""

    event: ClassVar[str] = "error"
    KINDS: ClassVar[tuple[str, ...]]

    kind: str
    message: str

    def to_json(self) -> dict[str, object]:
        """Return the event as plain data."""
        return {"event": self.event, **vars(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` made. Raises `UnknownEvent`."""
        return cls(choice_of(cls.KINDS, data, "kind"), value_of(str, data, "message"))


class EventClass(Protocol):
    """A dataclass whose fields are an event's keys; `event` is its name."""

    event: ClassVar[str]

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what the event's `to_json` made. Raises `UnknownEvent`."""
        ...


Event = TypeVar("Event", bound=EventClass)
Value = TypeVar("Value")


def read_event(data: object, known: Mapping[str, type[Event]]) -> Event:
    """Return the event that a parsed line is. Raises `UnknownEvent`, also for a key too many, too few or mistyped."""
    given = data if isinstance(data, Mapping) else {}
    name = given.get("event")
    kind = known.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownEvent(f"The line is an unknown event, {name!r}. Known: {', '.join(known)}.")
    refuse_unknown_keys({key: value for key, value in given.items() if key != "event"}, kind)
    return kind.from_json(given)


def value_of(kind: type[Value], data: Mapping[str, object], name: str) -> Value:
    """Return a value that has to be there. Raises `UnknownEvent` for a missing one or one of another type."""
    value = data.get(name)
    if not isinstance(value, kind):
        raise UnknownEvent(f"The event has {name} as {value!r}, which is no {kind.__name__}.")
    return value


def choice_of(choices: tuple[Value, ...], data: Mapping[str, object], name: str) -> Value:
    """Return a value that has to be one of the choices. Raises `UnknownEvent` with those that are known."""
    given = data.get(name)
    for choice in choices:
        if choice == given:
            return choice
    raise UnknownEvent(f"The event has an unknown {name}, {given!r}. Known: {', '.join(map(str, choices))}.")


def refuse_unknown_keys(data: Mapping[str, object], kind: type[Any]) -> None:
    """Raise `UnknownEvent` for a key that a dataclass has no field for."""
    unknown = sorted(set(data) - {known.name for known in fields(kind)})
    if unknown:
        raise UnknownEvent(f"The event has what {kind.__name__} does not have: {', '.join(unknown)}.")
