"""Train in a child process that cannot take its parent along, nor outlive it.

Children are forked from multiprocessing's fork server, which has torch and the like loaded already:
a job does not pay for their import, and a crash, a leak or an out-of-memory kill ends one job only.
Events come back as JSON lines over a pipe. Nothing here imports torch, so that any process may
import it.
"""

import json
import multiprocessing
import os
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from .child import LOG_NAME, Job, run_job
from .events import Event, FailureEvent, ResultEvent, TrainingError, event_from_json
from .request import TrainingRequest

# The fork server imports these once. It ignores those it does not find, as this project's own are
# when its working directory is another than the project's, so that the packages have their own names.
PRELOADED = [
    "torch",
    "torch._dynamo",  # the first optimizer of a process imports it, which takes a second
    "onnx",
    "onnxruntime",
    "timm",
    "tokenizers",
    "PIL.Image",
    "pyarrow.parquet",
    "sklearn.metrics",
    "matplotlib.backends.backend_agg",
    "matplotlib.font_manager",
    "training.engine.training",
]
# Threads of a parallel loop that wait for one another should sleep, not spin: beside a web server on two
# cores, a fit that spins takes four times as long. OpenMP reads it once, when torch is loaded.
WAIT_POLICY = ("OMP_WAIT_POLICY", "PASSIVE")
TERMINATION_SECONDS = 0.5  # between SIGTERM and SIGKILL
READ_AT_ONCE = 65_536

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


class TrainerProcess:
    """One training in a child process. Use each object for one training, from one thread at a time.

    When this object or its process goes, the child goes with it.
    """

    def __init__(self) -> None:
        self._process: ForkServerProcess | None = None
        self._events: Connection | None = None
        self._commands: Connection | None = None
        self._received = bytearray()
        self._log = Path(os.devnull)

    def start(self, request: TrainingRequest) -> None:
        """Start a training; its output goes to a log file in the request's output folder."""
        self._start(Job(log_dir=request.output_dir, request=request))

    def next_event(self, timeout: float) -> Event | None:
        """Return the next event, waiting for it up to `timeout` seconds.

        None means that none came, or that the pipe is at its end; `is_alive` tells which. The events
        of a child that has ended are still delivered, those that it had written whole. Raises `UnknownEvent`.
        """
        deadline = time.monotonic() + timeout
        while True:
            line, newline, rest = self._received.partition(b"\n")
            if newline:
                self._received = rest
                return event_from_json(json.loads(line))
            left = max(0.0, deadline - time.monotonic())
            if self._events is None:
                if self._process is not None:
                    self._process.join(left)  # its end is near, and the caller need not spin
                return None
            if not wait([self._events], left):
                return None
            self._receive(self._events)

    def is_alive(self) -> bool:
        """Say whether the child runs."""
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """Return the child's process id."""
        return self._process.pid if self._process is not None else None

    @property
    def exitcode(self) -> int | None:
        """Return how the child ended: 0 with a result, 1 with an error event, −n by signal n."""
        return self._process.exitcode if self._process is not None else None

    def stop(self, grace_seconds: float) -> None:
        """End the child: ask, after `grace_seconds` SIGTERM, then SIGKILL. Does nothing when it has ended."""
        process = self._process
        if process is None or self._commands is None:
            return
        if process.is_alive():
            self._ask_to_stop()
            process.join(grace_seconds)
        if process.is_alive():
            process.terminate()
            process.join(TERMINATION_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        self._commands.close()
        self._commands = None

    def log_tail(self, characters: int) -> str:
        """Return the end of what the child wrote to its standard output and error."""
        try:
            with self._log.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 4 * characters))  # a character has at most four bytes
                return file.read().decode(errors="replace")[-characters:]
        except OSError:
            return ""

    def _start(self, job: Job) -> None:
        if self._process is not None:
            raise RuntimeError(
                "This trainer was started before. Make a new TrainerProcess for each training."
            )
        os.environ.setdefault(*WAIT_POLICY)
        self._log = Path(job.log_dir) / LOG_NAME
        self._events, events = _context.Pipe(duplex=False)
        commands, self._commands = _context.Pipe(duplex=False)
        self._process = _context.Process(target=run_job, args=(job, events, commands), name="trainer")
        try:
            self._process.start()
        finally:
            # With the child's ends open here, its end would not show, nor ours to it.
            events.close()
            commands.close()

    def _receive(self, events: Connection) -> None:
        received = os.read(events.fileno(), READ_AT_ONCE)
        self._received += received
        if not received:
            events.close()
            self._events = None

    def _ask_to_stop(self) -> None:
        assert self._commands is not None
        try:
            self._commands.send_bytes(b"stop")
        except OSError:  # it ended in this moment
            return


def warm_up(cache_dir: str) -> None:
    """Start the fork server and prepare the backbones, so that the first job need not.

    Blocks until ready: some seconds, on a machine's first start half a minute. Raises `TrainingError`.
    """
    Path(cache_dir).mkdir(parents=True, exist_ok=True)
    trainer = TrainerProcess()
    trainer._start(Job(log_dir=cache_dir, cache_dir=cache_dir))
    try:
        while True:
            event = trainer.next_event(timeout=1.0)
            if isinstance(event, FailureEvent):
                raise TrainingError(f"The backbones cannot be prepared: {event.message}")
            if isinstance(event, ResultEvent):
                return
            if event is None and not trainer.is_alive():
                raise TrainingError(
                    f"Preparing the backbones died (exit code {trainer.exitcode}): {trainer.log_tail(2000)}"
                )
    finally:
        trainer.stop(1.0)
