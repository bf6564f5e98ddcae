"""The real platform in processes of its own, for tests that drive it from outside.

`WholePlatform` is started and ended exactly as `make run` and Ctrl-C do it. `PlatformProcess` starts the same processes
one by one, for tests that kill, stop and replace them: each is the leader of its own process group, so that ending one
takes its trainers with it. Both listen on a free port, in a home that the caller chooses, and neither finds any of the
platform's variables but those that it is given. Their output stays in `home/logs`, and what a failure needs of it is in
the exception.
"""

import contextlib
import functools
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .commands import Commands
from .servers import free_port

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = ("platform/config/launcher.py",)  # what `make run` runs; a test compares
READY = re.compile(r"^Trainyard is ready: .*$", re.MULTILINE)
FOR_EVERYTHING = ("--queues", "cpu,batches", "--slots", "2")  # one worker in the place of the Procfile's two
WARM = re.compile(r"worker\.warm\b")
WARM_UP_FAILED = "worker.warm_up_failed"
POLL = 0.05  # seconds
STARTS_WITHIN = 60.0  # seconds
WARM_WITHIN = 600.0  # seconds; the first start in a home prepares the backbones
STOPS_WITHIN = 20.0  # seconds; then it is killed
CODE = ("platform", "training", "inference", "models_registry")
VARIABLE = re.compile(r'(?:\benv\.\w+\(|environ(?:\.\w+\(|\[))\s*"([A-Z][A-Z0-9_]*)"')
ELSEWHERE = {"DATABASE_URL", "S3_BUCKET"}  # name what of a platform does not lie in its home
NEVER_INHERITED = ("AWS_", "CELERY_", "DJANGO_")  # what libraries read
INHERITED = ("HF_",)  # where weights lie on this machine


@functools.cache
def our_variables() -> frozenset[str]:
    """Return the names of the variables that the platform's code reads."""
    files = (path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    return frozenset(name for path in files for name in VARIABLE.findall(path.read_text()))


def environment_of_a_person() -> dict[str, str]:
    """Return this process's environment without anything that is the platform's: as a shell has it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(INHERITED) or not (name in our_variables() or name.startswith(NEVER_INHERITED))
    }


def processes_of(home: Path) -> dict[int, str]:
    """Return the processes of the platform that lives in this home, with what they run."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if f"TRAINYARD_HOME={home}".encode() in variables:
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


@functools.cache
def prepared_home() -> "tempfile.TemporaryDirectory[str]":
    """Return a home of this process's own that `manage.py prepare` has made; nothing runs in it."""
    folder = tempfile.TemporaryDirectory(prefix="trainyard-prepared-")
    with Commands({**environment_of_a_person(), "TRAINYARD_HOME": folder.name}) as commands:
        done = commands.run("prepare")
    if done.returncode:
        raise PlatformError(f"manage.py prepare ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return folder


class PlatformError(Exception):
    """A part of the platform did not start or ended badly; the message has the end of its log."""


def in_procfile(name: str) -> list[str]:
    """Return a command of the Procfile, with this Python."""
    commands = dict(line.split(":", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    words = shlex.split(commands[name])
    return ["env", *(sys.executable if word == "python" else word for word in words)]


class PlatformProcess:
    """A platform as a context manager: migrated, web and worker up, everything stopped at the end.

    >>> with PlatformProcess(tmp_path / "home", env={"DATABASE_URL": url}) as platform:
    ...     platform.manage("submit", "--task", ...)
    """

    def __init__(
        self,
        home: Path,
        *,
        env: Mapping[str, str] | None = None,
        web: bool = True,
        worker: bool = True,
        backbones: Path | None = None,
    ) -> None:
        """Name the parts to start; `backbones` is a cache of prepared ones to share between homes."""
        self.home = home
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.logs = home / "logs"
        self.web: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None
        self._commands: Commands | None = None
        self._parts = (web, worker)
        self._backbones = backbones
        self.env = {
            **environment_of_a_person(),
            "TRAINYARD_HOME": str(home),
            "PORT": str(self.port),
            **(env or {}),
        }

    def __enter__(self) -> Self:
        try:
            self.prepare()
            web, worker = self._parts
            if web:
                self.start_web()
            if worker:
                self.start_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def django_env(self) -> dict[str, str]:
        """The environment of a program of the test's own that sets Django up by itself."""
        return {**self.env, "DJANGO_SETTINGS_MODULE": "config.settings.local"}

    def prepare(self) -> None:
        """Make the home, the tables, the documents and the first administrator.

        A home that holds all of its platform is copied from one that this process has prepared once.
        """
        self._make_home()
        if ELSEWHERE & self.env.keys() or (self.home / "secret_key").exists():
            self.manage("prepare")
        else:
            not_copied = shutil.ignore_patterns("backbones", "logs")
            made = prepared_home().name
            shutil.copytree(made, self.home, ignore=not_copied, dirs_exist_ok=True)
            # Documents in another bucket than the rows know would count as written by others.
            with contextlib.closing(sqlite3.connect(self.home / "db.sqlite3")) as database, database:
                change = "UPDATE documents_document SET store = replace(store, ?, ?)"
                database.execute(change, (made, str(self.home)))

    def _make_home(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        shared = self.home / "backbones"
        if self._backbones is not None and not shared.exists():
            self._backbones.mkdir(parents=True, exist_ok=True)
            shared.symlink_to(self._backbones.resolve(), target_is_directory=True)

    def start_web(self) -> None:
        """Start the web process and wait until it answers on /health/live/."""
        self.web, since = self._start("web", *in_procfile("web"))
        self._wait(self.web, "web", since, lambda _: self._is_healthy(), within=STARTS_WITHIN)

    def start_worker(self, *arguments: str, wait_until_warm: bool = True) -> None:
        """Start a worker; wait until its backbones are prepared unless told not to."""
        self.worker, since = self._start("worker", *in_procfile("worker"), *arguments)
        if wait_until_warm:
            self._wait(self.worker, "worker", since, self._is_warm, within=WARM_WITHIN)

    def stop_web(self, *, kill: bool = False) -> None:
        """Stop the web process: politely, or with SIGKILL."""
        self.web = self._stop(self.web, kill=kill)

    def stop_worker(self, *, kill: bool = False) -> None:
        """Stop the worker and whatever it started: politely first, or all at once with SIGKILL."""
        self.worker = self._stop(self.worker, kill=kill)

    def stop(self) -> None:
        """Stop everything that runs; may be called twice."""
        self.stop_worker()
        self.stop_web()
        self._end_commands()

    def _end_commands(self) -> None:
        commands, self._commands = self._commands, None
        if commands is not None:
            commands.close()

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with these arguments; raises `PlatformError` when it fails and `check` is set."""
        if self._commands is None or self._commands.env != self.env:
            self._end_commands()
            self._commands = Commands(self.env)
        done = self._commands.run(*arguments)
        if check and done.returncode:
            raise PlatformError(
                f"manage.py {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
                + self._worker_if_it_ended()
            )
        return done

    def manage_json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it says in its last line."""
        return json.loads(self.manage(*arguments, "--json").stdout.splitlines()[-1])

    def _worker_if_it_ended(self) -> str:
        """Return the end of the log of a worker that should run and does not."""
        if self.worker is None or self.worker.poll() is None:
            return ""
        return f"The worker ended with {self.worker.returncode}:\n{self.log('worker')}"

    def log(self, name: str, *, characters: int = 6000) -> str:
        """Return the end of what `web` or `worker` has written."""
        path = self.logs / f"{name}.log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""

    def _start(self, name: str, *command: str) -> tuple["subprocess.Popen[bytes]", int]:
        """Start a part; returns it, and where in its log its own output begins."""
        path = self.logs / f"{name}.log"
        since = path.stat().st_size if path.exists() else 0
        with path.open("ab") as sink:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, since

    def _wait(
        self,
        process: "subprocess.Popen[bytes]",
        name: str,
        since: int,
        is_up: Callable[[str], bool],
        *,
        within: float,
    ) -> None:
        deadline = time.monotonic() + within
        while True:
            with (self.logs / f"{name}.log").open("rb") as file:
                file.seek(since)
                output = file.read().decode(errors="replace")
            if is_up(output):
                return
            if process.poll() is not None:
                raise PlatformError(f"The {name} process ended with {process.returncode}:\n{output[-6000:]}")
            if WARM_UP_FAILED in output:
                raise PlatformError(f"The {name} process could not warm up:\n{output[-6000:]}")
            if time.monotonic() > deadline:
                raise PlatformError(f"The {name} process was not up after {within:g} s:\n{output[-6000:]}")
            time.sleep(POLL)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/health/live/", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @staticmethod
    def _is_warm(output: str) -> bool:
        return WARM.search(output) is not None

    @staticmethod
    def _stop(process: "subprocess.Popen[bytes] | None", *, kill: bool) -> None:
        """End a part and its process group; a group that is gone already is fine."""
        if process is None:
            return
        if process.poll() is None and not kill:
            process.terminate()
            try:
                process.wait(timeout=STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                kill = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class WholePlatform(PlatformProcess):
    """A platform that is started as `make run` starts it and ended as Ctrl-C ends it: web, worker and batches.

    Its output is that of a terminal. Leaving the context raises `PlatformError` when a process is left.
    """

    def __init__(
        self, home: Path, *, env: Mapping[str, str] | None = None, backbones: Path | None = None
    ) -> None:
        super().__init__(home, env=env, backbones=backbones)
        self.launcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def start(self, *, wait_until_ready: bool = True) -> None:
        """Start everything; returns when the launcher says that it is ready."""
        self._make_home()
        self.launcher, since = self._start("run", sys.executable, *LAUNCHER)
        if wait_until_ready:
            self._wait(self.launcher, "run", since, self._is_ready, within=WARM_WITHIN)

    def stop(self) -> None:
        """Press Ctrl-C and wait; may be called twice."""
        self._end_commands()
        launcher, self.launcher = self.launcher, None
        if launcher is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launcher.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            launcher.wait(timeout=STOPS_WITHIN)
        left = processes_of(self.home)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        launcher.wait()
        if left:
            raise PlatformError(f"Ctrl-C has left: {left}\n{self.log('run')}")

    def log(self, name: str, *, characters: int = 6000) -> str:
        """Return the end of what the whole platform has written."""
        return super().log("run", characters=characters)

    @staticmethod
    def _is_ready(output: str) -> bool:
        return READY.search(output) is not None
