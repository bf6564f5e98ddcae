"""The child process that reads an upload: a hostile file harms that process only."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path

from ..engine.data.validation import Request, Wanted
from ..engine.data.validation_events import ValidationEvent, validation_event

EVENT_BYTES = 65_536  # bytes of events
LOG_TAIL = 2_000  # characters
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")  # of the environment; no secrets


class ValidationProcess:
    """One reading in a child process, which ends when this object is closed or its process dies.

    `folder` is its working directory, empty but for what it writes to standard error; it may address
    `memory` bytes.
    """

    def __init__(
        self,
        path: Path,
        *,
        wanted: Wanted = "report",
        task_type: str,
        columns: dict[str, str],
        corrections: dict[str, object],
        folder: Path,
        memory: int,
    ) -> None:
        folder.mkdir()
        self._log = folder.parent / f"{folder.name}.log"
        self._received = b""
        self._process = _start(folder, self._log)
        assert self._process.stdin is not None
        request = Request(
            wanted=wanted,
            path=str(path),
            task_type=task_type,
            columns=columns,
            corrections=corrections,
            memory=memory,
        )
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it died at once; its end says so
            return

    def __enter__(self) -> "ValidationProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def events(self, *, pause: float) -> Iterator[ValidationEvent | None]:
        """Yield the child's events until it has ended, and None whenever none came for `pause` seconds.

        Raises `UnknownEvent` for a line that is no event of this release.
        """
        assert self._process.stdout is not None
        while True:
            if not wait([self._process.stdout.fileno()], pause):
                yield None
                continue
            piece = os.read(self._process.stdout.fileno(), EVENT_BYTES)
            if not piece:
                return
            *lines, self._received = (self._received + piece).split(b"\n")
            yield from (validation_event(json.loads(line)) for line in lines)

    def describe_end(self) -> str:
        """Wait for the end of the child, and return how it ended."""
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def printed(self) -> str:
        """Return the end of the child's standard error, for operators."""
        return self._log.read_bytes()[-4 * LOG_TAIL :].decode(errors="replace")[-LOG_TAIL:]


def _start(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the child in an empty folder, without the environment's secrets; `log` gets its standard error."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "training.engine.data.validation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            start_new_session=True,  # what is sent to its worker's group, as Ctrl-C, is not for it
            env={**kept, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        )
