"""Which data sets a web process validates during the request, and which are left to a worker."""

import time
from pathlib import Path

from django.conf import settings

from models_registry.inputs import Corrections, DataError, count_entries

from ..engine.data.texts import find_columns


class TakesTooLong(Exception):
    """The validation of a small data set has taken longer than a web process may spend on it."""


class Patience:
    """How long a web process goes on with a data set: call it with the progress. Raises `TakesTooLong`."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + settings.TRAINYARD["VALIDATE_IN_WEB_FOR"].total_seconds()

    def __call__(self, done: int, total: int) -> None:
        """Raise `TakesTooLong` once the time is up."""
        if time.monotonic() > self._ends_at:
            raise TakesTooLong


def has_many_entries(path: Path) -> bool:
    """Tell whether a file is a zip of more files than a web process looks at."""
    try:
        return count_entries(path) > settings.TRAINYARD["VALIDATE_IN_WEB_FILES"]
    except DataError:  # no zip
        return False


def is_large(path: Path, *, columns: dict[str, str], corrections: Corrections) -> bool:
    """Tell whether a data set is left to a worker; reads no more than the end of a zip or a table's heading.

    Raises `DataError` for what is no zip, and for a large table whose columns have to be named: its sender is
    still there to be asked.
    """
    limits = settings.TRAINYARD
    many_bytes = path.stat().st_size > limits["VALIDATE_IN_WEB_BYTES"]
    if path.suffix == ".zip":
        return count_entries(path) > limits["VALIDATE_IN_WEB_FILES"] or many_bytes
    if many_bytes:
        find_columns(path, columns, corrections=corrections)
    return many_bytes
