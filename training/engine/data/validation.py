"""Validate one data set in a process of its own: `python -m training.engine.data.validation`.

The first line of standard input says what to read, as JSON: `path`, `task_type`, `columns`, `corrections` and
`memory`, the bytes that the process may address. Events go to standard output as JSON lines: `{"done", "total"}`
now and then, at the end `{"report"}`, or `{"error", "kind"}` with the kind "data" for a file that cannot be read,
"memory" for one that takes more than there is, "internal" for a fault of ours. The process ends when standard
input does, so that it does not outlive who started it.
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
from typing import Any, TextIO

from models_registry.artifacts.sandbox.isolation import leave_network
from models_registry.inputs import Corrections, DataError

from .report import build_report

TOLD_EVERY = 0.5  # seconds
WRITES = 16 << 20  # bytes that the process may write into a file: it has nothing to write but messages
ORPHANED = 3  # exit code

Emit = Callable[[dict[str, object]], None]


def main() -> int:
    """Read the request, validate, tell; returns the exit code."""
    leave_network()
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _limit(request["memory"])
    return 0 if validate(request, _emitter()) else 1


def validate(request: dict[str, Any], emit: Emit) -> bool:
    """Turn the progress, the report or the error of a validation into events; says whether there is a report."""
    try:
        report = build_report(
            Path(request["path"]),
            task_type=request["task_type"],
            columns=request["columns"],
            corrections=Corrections.from_json(request["corrections"]),
            progress=_now_and_then(emit),
        )
    except DataError as error:
        emit({"error": str(error), "kind": "data"})
    except MemoryError:
        emit({"error": "", "kind": "memory"})
    except Exception as error:
        traceback.print_exc()
        emit({"error": f"{type(error).__name__}: {error}", "kind": "internal"})
    else:
        emit({"report": report.to_json()})
        return True
    return False


def _now_and_then(emit: Emit) -> Callable[[int, int], None]:
    told_at = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= TOLD_EVERY or done == total:
            told_at = now
            emit({"done": done, "total": total})

    return progress


def _emitter() -> Emit:
    """Return what writes events; whatever else is printed goes to standard error."""
    out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: dict[str, object]) -> None:
        out.write(json.dumps(event) + "\n")
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
