"""Run the whole platform on this machine until Ctrl-C: what `make run` does.

Makes the tables, the documents and the first administrator, starts what the Procfile names, and says in one line when
all of it is ready and how to sign in. When one part ends, or this process is asked to end, all of them do. Knows no
Django: each part finds the environment that this process was given, and writes to the same terminal.

A part says that it is ready as services of systemd do, with a datagram to $NOTIFY_SOCKET (sd_notify(3)).
"""

import contextlib
import ctypes
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [path for path in (str(ROOT / "platform"),) if path not in sys.path]

from core.home import home_folder, password_file  # noqa: E402 - the path leads there now

POLL = 0.1  # seconds
STOPS_WITHIN = 10.0  # seconds; a worker gives its job back in less
WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
PR_SET_PDEATHSIG = 1  # prctl(2)


class CannotStart(Exception):
    """Why the platform does not come up, and what to do about it."""


@dataclass(frozen=True)
class Address:
    """Where the web process listens."""

    host: str
    port: int

    @classmethod
    def from_environment(cls) -> "Address":
        """Read HOST and PORT, as gunicorn's configuration does. Raises `CannotStart` for a PORT that is none."""
        port = os.environ.get("PORT") or "8000"
        if not (port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
            raise CannotStart(
                f"PORT is {port!r}; give it a number from 1 to 65535, as in: make run PORT=8001"
            )
        return cls(os.environ.get("HOST") or "127.0.0.1", int(port))

    @property
    def reachable_host(self) -> str:
        """The host to ask for from this machine."""
        return "127.0.0.1" if self.host in WILDCARDS else self.host

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://{self.reachable_host}:{self.port}/"

    def require_free(self) -> None:
        """Raise `CannotStart` when the web process could not listen there."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
            try:
                probe.bind((self.host, self.port))
                probe.listen()
            except OSError as error:
                raise CannotStart(
                    f"Port {self.port} of {self.host} cannot be used: {error.strerror or error}. End what listens "
                    f"there, perhaps another Trainyard, or choose another one: make run PORT={self.port % 65535 + 1}"
                ) from error

    def answers(self) -> bool:
        """Tell whether the web process serves, whatever it thinks of our question."""
        connection = http.client.HTTPConnection(self.reachable_host, self.port, timeout=5)
        try:
            connection.request("GET", "/health/live/")
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Part:
    """A process of the platform, in a session of its own so that Ctrl-C reaches it through us alone."""

    def __init__(self, name: str, command: Sequence[str], *, env: Mapping[str, str], notify: Path) -> None:
        self.name = name
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(notify))
        self._notified.setblocking(False)
        self._ready = False
        self.process = subprocess.Popen(
            ["env", *command],  # which takes the variables that a Procfile puts before a program
            cwd=ROOT,
            env={**env, "NOTIFY_SOCKET": str(notify)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )

    def is_ready(self) -> bool:
        """Tell whether the process has said that it is."""
        with contextlib.suppress(BlockingIOError):
            while not self._ready:
                self._ready = b"READY=1" in self._notified.recv(4096).split(b"\n")
        return self._ready

    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self.process.poll() is not None

    def ask_to_end(self) -> None:
        """Let the process finish what cannot wait, and hand back what can."""
        if not self.has_ended():
            self.process.terminate()

    def end(self) -> None:
        """Leave nothing of the process, nor of what it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._notified.close()


def _end_with_parent() -> None:
    """Have the kernel end this process when the launcher is killed and cannot do so itself."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Requests:
    """What signals ask of the launcher: to end, and, asked once more, not to wait."""

    def __init__(self) -> None:
        self.to_end = threading.Event()
        self.to_hurry = threading.Event()

    def listen(self) -> None:
        """Take SIGINT, SIGTERM and SIGHUP; one that whoever started us ignores stays ignored, but for SIGINT."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._take)

    def _take(self, number: int, frame: object) -> None:
        (self.to_hurry if self.to_end.is_set() else self.to_end).set()


class Launcher:
    """The platform's processes, from the first to the last."""

    def __init__(self, address: Address, home: Path, requests: Requests, notify: Path) -> None:
        self.address = address
        self.home = home
        self.requests = requests
        self._notify = notify
        # Whoever looks at a terminal wants to know what needs a hand, not each event.
        self.env = {
            "LOG_LEVEL": "WARNING",
            **os.environ,
            "HOST": address.host,
            "PORT": str(address.port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        self.parts: list[Part] = []

    def run(self) -> int:
        """Return the exit status, once everything has ended that was started. Raises `CannotStart`."""
        try:
            self._prepare()
            for name, command in read_procfile(ROOT / "Procfile"):
                self._start(name, command)
            return self._watch()
        finally:
            self._stop()

    def _start(self, name: str, command: Sequence[str]) -> Part:
        part = Part(name, command, env=self.env, notify=self._notify / name)
        self.parts.append(part)
        return part

    def _prepare(self) -> None:
        say(f"Trainyard prepares {shown(self.home)}")
        part = self._start("prepare", ("python", "manage.py", "prepare", "--verbosity", "0"))
        while not part.has_ended():
            if self.requests.to_end.wait(POLL):
                return
        if part.process.returncode:
            raise CannotStart("The platform could not be prepared; the reason stands above.")
        self.parts.remove(part)
        part.end()

    def _watch(self) -> int:
        """Wait until a part ends, or until all are to; say meanwhile when all are ready."""
        if not self.requests.to_end.is_set():
            say("Trainyard starts; the first time this takes about a minute.")
        is_ready = False
        while not self.requests.to_end.wait(POLL):
            for part in self.parts:
                if part.has_ended():
                    say(f"{part.name} has {describe(part.process.returncode)}, so everything ends.")
                    return 1
            if not is_ready and all(part.is_ready() for part in self.parts) and self.address.answers():
                is_ready = True
                say(how_to_sign_in(self.address, self.home))
        say("Trainyard ends.")
        return 0

    def _stop(self) -> None:
        """Ask every part to end, wait, and end those that do not."""
        for part in self.parts:
            part.ask_to_end()
        deadline = time.monotonic() + STOPS_WITHIN
        while not all(part.has_ended() for part in self.parts) and time.monotonic() < deadline:
            if self.requests.to_hurry.wait(POLL):
                break
        for part in self.parts:
            if not part.has_ended():
                say(
                    f"{part.name} did not end and is killed; what it worked at is taken up at the next start."
                )
            part.end()


def read_procfile(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each process's name and command, as words."""
    for line in path.read_text().splitlines():
        name, colon, command = line.partition(":")
        if colon and not line.startswith("#"):
            yield name.strip(), shlex.split(command)


def how_to_sign_in(address: Address, home: Path) -> str:
    """Return the line for a person who has just started the platform."""
    path = password_file(home)
    try:
        name = path.read_text().split()[0]
    except (OSError, IndexError):
        how = "sign in, or make an account"
    else:
        how = f"sign in as {name} with the password in {shown(path)}"
    return f"Trainyard is ready: open {address.url} and {how}. Ctrl-C ends it."


def shown(path: Path) -> str:
    """Return a path as short as it can be written here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def describe(status: int) -> str:
    """Return how a process has ended."""
    return f"ended with status {status}" if status >= 0 else f"been ended by {signal.Signals(-status).name}"


def say(words: str) -> None:
    """Print a line at once, to whoever still listens."""
    with contextlib.suppress(OSError):
        print(words, flush=True)  # noqa: T201 - this is what a person looks at


def main() -> NoReturn:
    """Run the platform; exits 0 when it was asked to end, else 1."""
    requests = Requests()
    requests.listen()
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        try:
            address = Address.from_environment()
            address.require_free()
            status = Launcher(address, home_folder(), requests, Path(folder)).run()
        except CannotStart as error:
            sys.exit(str(error))
    sys.exit(status)


if __name__ == "__main__":
    main()
