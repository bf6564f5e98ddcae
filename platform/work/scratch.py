"""Scratch folders of attempts on the worker's disk."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from .models import LeasedWork


def scratch_folder(work: LeasedWork) -> Path:
    """Return the folder of this attempt."""
    folder: Path = settings.HOME / "jobs" / f"{work.noun()}-{work.pk}-{work.attempt}"
    return folder


@contextlib.contextmanager
def scratch(work: LeasedWork) -> Iterator[Path]:
    """Create the attempt's folder and remove it at the end; folders of earlier attempts are removed first."""
    folder = scratch_folder(work)
    for left in folder.parent.glob(f"{work.noun()}-{work.pk}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
