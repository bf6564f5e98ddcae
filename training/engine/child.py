"""What runs inside a trainer's child process: one job, its events, and an end when nobody listens."""

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from .data import DataError
from .events import Event, FailureEvent, FailureKind, ResultEvent, TrainingError, TrainingStopped
from .request import TrainingRequest
from .specs.strategies import find_strategy
from .torchrun import relay

LOG_NAME = "trainer.log"
ORPHANED = 3  # exit code of a child whose parent is gone


@dataclass(frozen=True)
class Job:
    """A training (`request`), or making the machine ready for one (`cache_dir`)."""

    log_dir: str
    request: TrainingRequest | None = None
    cache_dir: str = ""


def run_job(job: Job, events: Connection, commands: Connection) -> None:
    """Run a job to its end and exit; the child's whole life."""
    _redirect_output(Path(job.log_dir) / LOG_NAME)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent, which then asks
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(commands, stopping), name="commands", daemon=True).start()
    file = os.fdopen(os.dup(events.fileno()), "w", encoding="utf-8")

    def emit(event: Event) -> None:
        try:
            file.write(json.dumps(event.to_json()) + "\n")
            file.flush()
        except BrokenPipeError:
            os._exit(ORPHANED)

    if (
        job.request is not None
        and len(job.request.devices) > 1
        and find_strategy(job.request.strategy).shares
    ):
        succeeded = relay(job.request, emit, stopping)
    else:
        succeeded = emit_events(lambda report: _work(job, report, stopping.is_set), emit)
    sys.stdout.flush()
    sys.exit(0 if succeeded else 1)


def emit_events(work: Callable[[Callable[[Event], None]], object], emit: Callable[[Event], None]) -> bool:
    """Do the work, which reports its own result, and turn an error into an event; says whether it succeeded."""
    try:
        work(emit)
    except Exception as error:
        emit(_failure(error))
        return False
    return True


def _failure(error: Exception) -> FailureEvent:
    kinds: dict[type[Exception], FailureKind] = {
        DataError: "data",
        TrainingError: "training",
        TrainingStopped: "stopped",
    }
    for kind, name in kinds.items():
        if isinstance(error, kind):
            return FailureEvent(name, str(error))
    traceback.print_exception(error)
    return FailureEvent("internal", f"{type(error).__name__}: {error}")


def _work(job: Job, report: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    if job.request is not None:
        from .training import train

        train(job.request, report, should_stop=should_stop)
        return
    from .networks.backbones import prepare_all

    prepare_all(Path(job.cache_dir))
    report(ResultEvent(None))


def _redirect_output(log: Path) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)


def _listen(commands: Connection, stopping: threading.Event) -> None:
    """Wait for the parent's wish to stop; its end of the pipe closes when it dies, however it dies."""
    try:
        while commands.recv_bytes():
            stopping.set()
    except (EOFError, OSError):
        os._exit(ORPHANED)
