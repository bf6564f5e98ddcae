"""Train on a bare machine: `python -m training.trainers.run request.json`.

The request is a `TrainingRequest` as JSON; events go to standard output as JSON lines, the last one
is the result or an error. Exits 0 with a result, 1 with an error. Ctrl-C stops at the next safe point.
"""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .child import emit_events
from .request import TrainingRequest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; returns the exit code."""
    parser = argparse.ArgumentParser(description="Train a classifier as a request says.")
    parser.add_argument("request", type=Path, help="a TrainingRequest as JSON")
    given = parser.parse_args(arguments)
    request = TrainingRequest.from_json(json.loads(given.request.read_text(encoding="utf-8")))
    Path(request.output_dir).mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())

    def emit(event: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    from .engine import train  # late: `--help` need not wait for torch

    succeeded = emit_events(
        lambda report: train(request, report, should_stop=stopping.is_set).to_json(), emit
    )
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
