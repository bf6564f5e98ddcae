"""Which job status.json names; the app that runs jobs registers a function, because this package cannot import it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Activity:
    """The job that has been running for the longest time."""

    token: str
    task_type: str


def _nothing_runs() -> Activity | None:
    return None


_source: Callable[[], Activity | None] = _nothing_runs


def set_activity_source(source: Callable[[], Activity | None]) -> None:
    """Register the function that returns the running job; called once, in the `ready` of the app that runs jobs."""
    global _source
    _source = source


def current_activity() -> Activity | None:
    """Return the longest-running job; None when no job runs."""
    return _source()
