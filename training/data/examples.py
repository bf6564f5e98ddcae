"""What readers say of an example that is left out."""

from typing import NamedTuple


class Unreadable(NamedTuple):
    """An example that cannot be used; its class may be unknown ("")."""

    name: str
    label: str
    reason: str
