"""What would become of a data set, told before anything is kept: from all of its file, or from a part of it.

A part costs its sender little: the first bytes of a table, a zip's list of files, the names in a folder.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.core.files import File

from control.selectors import require_operation
from core.exceptions import InvalidRequest
from models_registry.inputs import (
    Corrections,
    DataError,
    Entry,
    Limits,
    NeedsMoreRoom,
    holds_tables_by_name,
)
from models_registry.models import TaskType

from ..engine.data.plan import DataPlan, plan_archive_file, plan_names, plan_table_file, plan_unseen
from .services import SUFFIXES, arrived, as_small_zip, require_task, sorted_out

HEAD_BYTES = 2 << 20  # of a table's beginning
TAIL_BYTES = 64 << 20  # of a zip's list of files
MOST_ENTRIES = 100_000  # files whose names are planned while somebody waits
SECONDS = 5.0  # that rows are counted

Part = Literal["", "head", "tail"]


@dataclass(frozen=True)
class PlanUpload:
    """What a plan is asked of: a `file` or a `part` of one that has `size` bytes, or the `entries` of a folder."""

    name: str
    task_type: str = ""
    file: File | None = None
    part: Part = ""
    size: int = 0
    entries: Sequence[Entry] | None = None
    corrections: Corrections = field(default_factory=Corrections)


def plan_upload(upload: PlanUpload) -> DataPlan:
    """Plan what was sent. Raises `MaintenanceMode`, and `InvalidRequest` for what no data set can be made of."""
    require_operation()
    limits = replace(Limits(), max_entries=MOST_ENTRIES)
    if upload.entries is not None:
        if len(upload.entries) > MOST_ENTRIES:
            raise InvalidRequest(
                f"A plan is made of {MOST_ENTRIES:,} files at most. Send the data set itself."
            )
        is_image = upload.task_type == TaskType.IMAGE
        if not is_image and holds_tables_by_name(
            [entry.name for entry in upload.entries if not entry.is_folder]
        ):
            return plan_unseen(upload.corrections)
        return plan_names(upload.entries, upload.corrections)
    task_type: str = upload.task_type or require_task(upload.name)
    with _at_hand(upload, task_type) as path:
        is_whole = not upload.part
        if upload.part != "head" and not upload.task_type:
            task_type, path = sorted_out(path)
            path = _as_zip(path, task_type) if is_whole else path
        if task_type == TaskType.IMAGE:
            return plan_archive_file(path, upload.corrections, limits, is_whole=is_whole)
        return plan_table_file(path, upload.corrections, limits, is_whole=is_whole, patience=_Patience())


class _Patience:
    """Says whether there is time for more rows, from the first one on: a workbook is opened before that."""

    def __init__(self) -> None:
        self._ends_at: float | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        self._ends_at = self._ends_at or now + SECONDS
        return now < self._ends_at


def require_size(count: int) -> None:
    """Raise `InvalidRequest` for more bytes than a data set may have."""
    limit = settings.TRAINYARD["MAX_DATASET_BYTES"]
    if count > limit:
        raise InvalidRequest(f"The file is larger than the {limit:,} bytes that a data set may have.")


@contextlib.contextmanager
def _at_hand(upload: PlanUpload, task_type: str) -> Iterator[Path]:
    """Copy what was sent to where readers can open it, as long as the plan is made."""
    file = upload.file
    if file is None:
        raise InvalidRequest("Send a file, a part of one, or the entries of a folder.")
    file.name = upload.name
    if not upload.part:
        with arrived(file, task_type=task_type) as path:
            yield _as_zip(path, task_type)
        return
    if task_type == TaskType.IMAGE and upload.part == "head":
        raise InvalidRequest(
            "The beginning of an archive says nothing. Send its list of files, the part tail."
        )
    _require_suffix(upload.name, (".zip",) if upload.part == "tail" else SUFFIXES[TaskType(task_type)])
    require_size(upload.size)
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder) / f"dataset{Path(upload.name).suffix.lower()}"
        _copy_part(file, path, upload)
        yield path


def _as_zip(path: Path, task_type: str) -> Path:
    try:
        return as_small_zip(path, task_type=task_type)
    except NeedsMoreRoom as error:
        raise InvalidRequest(
            "This archive has to be repacked before it can be planned, and is too large for that here. Hand it in as "
            "a data set, or send a zip."
        ) from error
    except DataError as error:
        raise InvalidRequest(str(error)) from error


def _require_suffix(name: str, expected: tuple[str, ...]) -> None:
    if not name.lower().endswith(expected):
        raise InvalidRequest(f"{name} is not a {' or '.join(expected)} file.")


def _copy_part(file: File, path: Path, upload: PlanUpload) -> None:
    """Write the beginning of a file, or its end to where it would stand: what is ahead takes no room."""
    most = HEAD_BYTES if upload.part == "head" else TAIL_BYTES
    count = file.size or 0
    if count > most:
        raise InvalidRequest(f"The part is larger than the {most:,} bytes that it may have.")
    if upload.part == "tail" and count > upload.size:
        raise InvalidRequest(
            f"The part has {count:,} bytes, more than the whole of {upload.size:,}. Give its size."
        )
    with path.open("wb") as target:
        if upload.part == "tail":
            os.ftruncate(target.fileno(), upload.size - count)
            target.seek(upload.size - count)
        for chunk in file.chunks(1 << 20):
            target.write(chunk)
