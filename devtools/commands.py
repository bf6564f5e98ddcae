"""Commands of `manage.py`, one after the other in one environment, without loading Django for each.

A server process loads Django and the apps once; each command runs in a fork of it, which ends as a process of its own
does: what a command leaves behind in memory is gone, and one that is killed takes nothing with it.

>>> with Commands(env) as commands:
...     commands.run("migrate", "--verbosity", "0").returncode
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

ROOT = Path(__file__).resolve().parents[1]


class Order(TypedDict):
    """What the server is told: a command with its arguments, and the files for what it writes."""

    arguments: list[str]
    stdout: str
    stderr: str


class Commands:
    """The server as a context manager, started by the first command. One command at a time; others wait."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Name the environment of every command; a change that comes later is not seen."""
        self.env = dict(env)
        self._server: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `manage.py` with these arguments; returns its output and exit status, negative for a signal."""
        with self._lock, tempfile.TemporaryDirectory(prefix="trainyard-command-") as folder:
            outputs = [Path(folder, name) for name in ("stdout", "stderr")]
            order = Order(arguments=list(arguments), stdout=str(outputs[0]), stderr=str(outputs[1]))
            status = self._ask(order)
            stdout, stderr = (path.read_text(errors="replace") for path in outputs)
        return subprocess.CompletedProcess(["manage.py", *arguments], status, stdout, stderr)

    def close(self) -> None:
        """End the server; may be called twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.kill()
        server.wait()
        for stream in (server.stdin, server.stdout):
            assert stream is not None
            stream.close()

    def _ask(self, order: Order) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "devtools.commands"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(f"{json.dumps(order)}\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, f"The server of commands ended with {self._server.wait()} (its errors are above)"
        return int(answer)


def _serve() -> None:
    """Take orders until standard input ends. Returns in each fork, too, whose command has ended."""
    for line in iter(sys.stdin.readline, ""):
        order: Order = json.loads(line)
        child = os.fork()
        if not child:
            _carry_out(order)
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _carry_out(order: Order) -> None:
    """Run one command in this process, and leave it as the interpreter leaves it. Raises SystemExit."""
    from django.core.management import execute_from_command_line

    for number, name in enumerate((os.devnull, order["stdout"], order["stderr"])):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["manage.py", *order["arguments"]]
    execute_from_command_line(sys.argv)


def _main() -> None:
    # As manage.py does it.
    sys.path[1:1] = [str(ROOT / "platform")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    import django

    django.setup()
    _serve()


if __name__ == "__main__":
    _main()
