"""The real platform in processes of its own, for tests that drive it from outside.

Web and worker run as the Procfile runs them, on a free port and in a home that the caller chooses.
Each is the leader of its own process group, so that ending one takes its trainers with it. Their
output stays in `home/logs`, and what a failure needs of it is in the exception.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
WEB = ("-m", "gunicorn", "config.wsgi:application", "--pythonpath", "platform")
WEB_CONFIG = ("--config", "platform/config/gunicorn.py")
WORKER = ("manage.py", "worker")
FOR_EVERYTHING = ("--queues", "cpu,batches", "--slots", "2")  # one worker in the place of the Procfile's two
WARM = re.compile(r"worker\.warm\b")
WARM_UP_FAILED = "worker.warm_up_failed"
POLL = 0.05  # seconds
STARTS_WITHIN = 60.0  # seconds
WARM_WITHIN = 600.0  # seconds; the first start in a home prepares the backbones
STOPS_WITHIN = 20.0  # seconds; then it is killed
# What must not leak from the caller (another settings module, another platform's services) into this one.
NOT_INHERITED = (
    "ACCOUNT_EMAIL_VERIFICATION",
    "CACHE_URL",
    "CELERY_BROKER_URL",
    "DATABASE_URL",
    "DJANGO_SETTINGS_MODULE",
    "FAULT",
    "REDIS_KEY_PREFIX",
    "S3_BUCKET",
    "S3_ENDPOINT_URL",
    "SECRET_KEY",
    "SIGN_UP_OPEN",
    "STATIC_ROOT",
    "TRAINYARD_PRETRAINED",
)


class PlatformError(Exception):
    """A part of the platform did not start or ended badly; the message has the end of its log."""


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
        self._parts = (web, worker)
        self._backbones = backbones
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        self.env = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "TRAINYARD_HOME": str(home),
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
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

    def prepare(self) -> None:
        """Make the home, the tables and the documents."""
        self.logs.mkdir(parents=True, exist_ok=True)
        shared = self.home / "backbones"
        if self._backbones is not None and not shared.exists():
            self._backbones.mkdir(parents=True, exist_ok=True)
            shared.symlink_to(self._backbones.resolve(), target_is_directory=True)
        self.manage("migrate", "--verbosity", "0")
        self.manage("sync_documents")

    def start_web(self) -> None:
        """Start the web process and wait until it answers on /health/live/."""
        self.web, since = self._start("web", *WEB, *WEB_CONFIG)
        self._wait(self.web, "web", since, lambda _: self._is_healthy(), within=STARTS_WITHIN)

    def start_worker(self, *arguments: str, wait_until_warm: bool = True) -> None:
        """Start a worker; wait until its backbones are prepared unless told not to."""
        self.worker, since = self._start("worker", *WORKER, *arguments)
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

    def manage(self, *arguments: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with these arguments; raises `PlatformError` when it fails and `check` is set."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise PlatformError(
                f"manage.py {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
                + self._worker_if_it_ended()
            )
        return done

    def manage_json(self, *arguments: str, **env: str) -> Any:
        """Run a command with --json and return what it says in its last line."""
        return json.loads(self.manage(*arguments, "--json", **env).stdout.splitlines()[-1])

    def _worker_if_it_ended(self) -> str:
        """Return the end of the log of a worker that should run and does not."""
        if self.worker is None or self.worker.poll() is None:
            return ""
        return f"The worker ended with {self.worker.returncode}:\n{self.log('worker')}"

    def log(self, name: str, *, characters: int = 6000) -> str:
        """Return the end of what `web` or `worker` has written."""
        path = self.logs / f"{name}.log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""

    def _start(self, name: str, *arguments: str) -> tuple["subprocess.Popen[bytes]", int]:
        """Start a part; returns it, and where in its log its own output begins."""
        path = self.logs / f"{name}.log"
        since = path.stat().st_size if path.exists() else 0
        with path.open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, *arguments],
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
