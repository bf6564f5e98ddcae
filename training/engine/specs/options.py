"""What a setting may be: its words for people, its range, and why. A value that is missing or None is not set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Number:
    """A number from `least` to `most`, both included; `why` tells what the ends are for.

    `default` is for those that no strategy chooses.
    """

    label: str
    least: float
    most: float
    why: str
    whole: bool = False
    default: float | None = None

    def check(self, value: object) -> int | float:
        """Return the value. Raises ValueError that says what is expected."""
        wanted = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
            raise ValueError(f"give a {'whole ' if self.whole else ''}number from {self.span}")
        if not self.least <= value <= self.most:
            raise ValueError(f"{value:g} is not from {self.span}. {self.why}")
        return value if self.whole else float(value)

    @property
    def span(self) -> str:
        """Return the range in words."""
        return f"{plain(self.least)} to {plain(self.most)}"


@dataclass(frozen=True)
class Choice:
    """One of some words, each with the word that people read."""

    label: str
    words: Mapping[str, str]
    why: str

    def check(self, value: object) -> str:
        """Return the value. Raises ValueError that lists the words."""
        if value not in self.words:
            raise ValueError(f"{value!r} is none of {', '.join(self.words)}")
        return str(value)


@dataclass(frozen=True)
class Switch:
    """On or off."""

    label: str
    why: str

    def check(self, value: object) -> bool:
        """Return the value. Raises ValueError."""
        if not isinstance(value, bool):
            raise ValueError("give true or false")
        return value


@dataclass(frozen=True)
class Group:
    """Numbers that are set together or not at all."""

    label: str
    why: str
    options: Mapping[str, Number]

    def check(self, value: object) -> dict[str, object]:
        """Return the values, all of them. Raises `UnusableOptions`."""
        return check_options(value, self.options, complete=True)

    def completed(self, given: Mapping[str, object]) -> dict[str, object]:
        """Return the values that are given, with the usual ones for the others."""
        values = {name: given.get(name) for name in self.options}
        return {
            name: self.options[name].default if value is None else value for name, value in values.items()
        }


Option = Number | Choice | Switch | Group
Values = dict[str, Any]  # options by name: numbers, words, switches, and groups of those


class UnusableOptions(ValueError):
    """Options that cannot be used; `problems` maps each option to what to change."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {words.rstrip('.')}." for name, words in problems.items()))
        self.problems = dict(problems)


def check_options(given: object, known: Mapping[str, Option], *, complete: bool = False) -> Values:
    """Return the options that are set, each within its range; `complete` wants every one.

    Raises `UnusableOptions` that names all that cannot be used.
    """
    if not isinstance(given, Mapping):
        raise UnusableOptions({"options": f"give an object with {', '.join(known)}"})
    problems = {
        str(name): f"is not known; known are {', '.join(known)}" for name in given if name not in known
    }
    kept: Values = {}
    for name, option in known.items():
        value = given.get(name)
        if value is None:
            if complete:
                problems[name] = "is missing"
            continue
        try:
            kept[name] = option.check(value)
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise UnusableOptions(problems)
    return kept


def plain(number: float) -> str:
    """Return a number without an exponent: 0.00001, 1,024."""
    if float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:.10f}".rstrip("0")
