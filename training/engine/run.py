"""Train on a bare machine: `python -m training.engine.run request.json`.

The request is a `TrainingRequest` as JSON; events go to standard output as JSON lines, the last ones
are the result and the findings, or an error. Exits 0 with both, 1 with an error. Ctrl-C stops at the next safe point;
with `--listen` a line on standard input does, and its end ends the process.

Several GPUs train one network when torchrun starts this module, one process for each of the request's
devices: `torchrun --nproc-per-node 2 -m training.engine.run request.json`.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from .child import ORPHANED, emit_events
from .data import DataError
from .events import Event, FailureEvent, TrainingError
from .request import TrainingRequest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; returns the exit code."""
    parser = argparse.ArgumentParser(description="Train a classifier as a request says.")
    parser.add_argument("request", type=Path, help="a TrainingRequest as JSON")
    parser.add_argument("--listen", action="store_true", help="stop when standard input says so or ends")
    given = parser.parse_args(arguments)
    request = TrainingRequest.from_json(json.loads(given.request.read_text(encoding="utf-8")))
    Path(request.output_dir).mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    if int(os.environ.get("RANK", "0")):
        return _assist(request, stopping)
    if given.listen:
        threading.Thread(target=_listen, args=(stopping,), name="wishes", daemon=True).start()
    events, alone = _events_alone(), "RANK" not in os.environ

    def emit(event: Event) -> None:
        internal = isinstance(event, FailureEvent) and event.kind == "internal"
        if alone or not internal:  # that may be the end of another rank, which ends all
            events.write(json.dumps(event.to_json()) + "\n")
            events.flush()

    from .training import train  # late: `--help` need not wait for torch

    succeeded = emit_events(lambda report: train(request, report, should_stop=stopping.is_set), emit)
    return 0 if succeeded else 1


def _assist(request: TrainingRequest, stopping: threading.Event) -> int:
    """Work for the first rank, and leave it to that one to say what is wrong with the data or the settings."""
    from .training import assist

    try:
        assist(request)
    except (DataError, TrainingError) as error:
        sys.stderr.write(f"{error}\n")
        stopping.wait()  # torchrun ends all ranks when the first one has ended
        return 1
    return 0


def _events_alone() -> TextIO:
    """Return standard output for the events; what libraries print goes where errors go."""
    try:
        events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    except OSError:  # somebody has replaced it by something that is no file
        return sys.stdout
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def _listen(stopping: threading.Event) -> None:
    for _ in sys.stdin:
        stopping.set()
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
