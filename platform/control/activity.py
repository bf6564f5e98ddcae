"""Which job status.json names: asked from whoever runs jobs, so that switches need not know them."""

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
    """Name the function that knows; called once, while the app that runs jobs becomes ready."""
    global _source
    _source = source


def current_activity() -> Activity | None:
    """Return the longest-running job, or None while the platform sleeps."""
    return _source()
