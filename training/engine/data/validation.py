"""Read one upload in a process of its own: `python -m training.engine.data.validation`.

The first line of standard input is a `Request`, as JSON. Events (`validation_events`) go to standard output as JSON
lines. The process ends when standard input does, so that it does not outlive who started it.
"""

import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TextIO, TypedDict

from models_registry.artifacts.metadata import TEXT_CLASSIFICATION
from models_registry.artifacts.sandbox.isolation import leave_network
from models_registry.inputs import Corrections, DataError

from .labelled import read_labelled
from .language import load_identifier
from .report import build_report
from .validation_events import (
    AllExamplesFound,
    ExamplesFound,
    ExamplesRead,
    Validated,
    ValidationEvent,
    ValidationFailed,
)

TOLD_EVERY = 0.5  # seconds
WRITES = 16 << 20  # bytes that the process may write into a file: it has nothing to write but messages
ORPHANED = 3  # exit code
AT_ONCE = 500  # examples of an event
NAMED = 20  # unreadable examples that are named

Emit = Callable[[ValidationEvent], None]
# "report": whether it can be trained on, as a whole. "examples": each example, whatever they are together.
Wanted = Literal["report", "examples"]


class Request(TypedDict):
    """What to read: a table's `columns` by their meaning, and the bytes of `memory` that the process may address.

    `corrections` is what `Corrections.to_json` made; a list of `wanted` examples follows the upload alone.
    """

    wanted: Wanted
    path: str
    task_type: str
    columns: dict[str, str]
    corrections: dict[str, object]
    memory: int


def main() -> int:
    """Read the request and then the upload; returns the exit code: 0 if it could be read."""
    leave_network()
    request: Request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    if request["task_type"] == TEXT_CLASSIFICATION:
        load_identifier()  # unpacks its model into a file larger than may be written once there are limits
    _limit(request["memory"])
    return 0 if validate(request, _emitter()) else 1


def validate(request: Request, emit: Emit) -> bool:
    """Emit the progress, then what was found or why nothing could be; returns whether it could be read."""
    try:
        (_list_examples if request["wanted"] == "examples" else _report)(request, emit)
    except DataError as error:
        emit(ValidationFailed("data", str(error)))
    except MemoryError:
        emit(ValidationFailed("memory", ""))
    except Exception as error:
        traceback.print_exc()
        emit(ValidationFailed("internal", f"{type(error).__name__}: {error}"))
    else:
        return True
    return False


def _report(request: Request, emit: Emit) -> None:
    """Emit the report. Raises `DataError`."""
    report = build_report(
        Path(request["path"]),
        task_type=request["task_type"],
        columns=request["columns"],
        corrections=Corrections.from_json(request["corrections"]),
        progress=_now_and_then(emit),
    )
    emit(Validated(report))


def _list_examples(request: Request, emit: Emit) -> None:
    """Emit every example, some at a time. Raises `DataError`."""
    found = read_labelled(Path(request["path"]), task_type=request["task_type"], progress=_now_and_then(emit))
    for start in range(0, len(found.examples), AT_ONCE):
        emit(ExamplesFound(tuple(found.examples[start : start + AT_ONCE])))
    emit(AllExamplesFound(found.columns, tuple(found.unreadable[:NAMED]), len(found.unreadable)))


def _now_and_then(emit: Emit) -> Callable[[int, int], None]:
    told_at = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= TOLD_EVERY or done == total:
            told_at = now
            emit(ExamplesRead(done, total))

    return progress


def _emitter() -> Emit:
    """Return what writes events; whatever else is printed goes to standard error."""
    out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: ValidationEvent) -> None:
        out.write(json.dumps(event.to_json()) + "\n")
        out.flush()

    return emit


def _limit(memory: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, WRITES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard),) * 2)


def _end_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
