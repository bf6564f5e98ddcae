"""What readers say of the examples that they read, and of those that they leave out."""

from collections.abc import Callable
from typing import NamedTuple

Progress = Callable[[int, int], None]  # examples read, of how many (0: not known)


class Unreadable(NamedTuple):
    """An example that cannot be used; its class may be unknown ("")."""

    name: str
    label: str
    reason: str


class LeftOut(NamedTuple):
    """An example that could be used and is not, because of its class."""

    name: str
    label: str
    reason: str
