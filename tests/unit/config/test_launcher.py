"""The launcher's pieces, with small processes in the place of web and worker."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import launcher
from config.launcher import Address, CannotStart, Launcher, Part, Requests, how_to_sign_in, read_procfile
from devtools.platform_process import LAUNCHER, ROOT

PATIENCE = 20.0  # seconds
WAIT = "import time; time.sleep(60)"
SAY_READY = """
import os, socket, sys, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
    line.connect(os.environ["NOTIFY_SOCKET"])
    line.send(b"STATUS=nearly")
    line.send(b"READY=1\\nSTATUS=up")
time.sleep(60)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(60)
"""


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose path is short enough for a socket's address."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ty-") as folder:
        yield Path(folder)


@pytest.fixture
def platform(tmp_path: Path, short_folder: Path) -> Iterator[Launcher]:
    found = Launcher(Address("127.0.0.1", 1), tmp_path, Requests(), short_folder)
    yield found
    for part in found.parts:
        part.end()


def start(platform: Launcher, name: str, code: str, *arguments: str) -> Part:
    return platform._start(name, ("python", "-c", code, *arguments))


def test_make_run_runs_the_launcher() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "-o", ".venv/runtime", "run"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [".venv/bin/python", *LAUNCHER]


def test_procfile_names_web_and_workers() -> None:
    commands = dict(read_procfile(ROOT / "Procfile"))
    assert list(commands) == ["web", "worker", "batches"]
    assert commands["batches"][:2] == ["PREDICTOR_THREADS=0", "nice"]


def test_part_is_ready_when_it_says_so(platform: Launcher) -> None:
    quiet, ready = start(platform, "quiet", WAIT), start(platform, "ready", SAY_READY)
    wait_until(ready.is_ready)
    assert not quiet.is_ready()


def test_part_gets_the_environment_as_it_was_given(
    platform: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "environment"
    code = f"import os; open({str(target)!r}, 'w').write(repr(dict(os.environ)))"
    platform.env.pop("DJANGO_SETTINGS_MODULE", None)  # which pytest has set
    part = platform._start("web", ("COLOUR=red", "python", "-c", code))
    wait_until(part.has_ended)
    found = eval(target.read_text())
    assert "DJANGO_SETTINGS_MODULE" not in found
    assert (found["COLOUR"], found["PORT"]) == ("red", "1")


def test_everything_ends_when_a_part_does(platform: Launcher, capsys: pytest.CaptureFixture[str]) -> None:
    other = start(platform, "other", WAIT)
    start(platform, "short", "raise SystemExit(3)")
    assert platform._watch() == 1
    platform._stop()
    assert other.has_ended()
    assert "short has ended with status 3" in capsys.readouterr().out


def test_part_that_does_not_end_is_killed_with_what_it_started(
    platform: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "STOPS_WITHIN", 0.3)
    note = tmp_path / "child"
    part = start(platform, "stubborn", STUBBORN, str(note))
    wait_until(lambda: note.exists() and note.read_text())
    platform.requests.to_end.set()
    assert platform._watch() == 0
    platform._stop()
    assert part.process.returncode == -signal.SIGKILL
    wait_until(lambda: is_gone(int(note.read_text())))


def test_second_request_does_not_wait(platform: Launcher, tmp_path: Path) -> None:
    note = tmp_path / "child"
    start(platform, "stubborn", STUBBORN, str(note))
    wait_until(lambda: note.exists() and note.read_text())
    for _ in range(2):
        platform.requests._take(signal.SIGINT, None)
    began = time.monotonic()
    platform._stop()
    assert time.monotonic() - began < launcher.STOPS_WITHIN / 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_part_ends_with_a_launcher_that_was_killed(short_folder: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from config.launcher import *; "
        "part = Part('web', ('python', '-c', 'import time; time.sleep(60)'), env=os.environ,"
        " notify=Path(sys.argv[1])); print(part.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(short_folder / "web")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "platform")},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: is_gone(pid))


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "8000.5", "٣", " 8000"])
def test_port_that_is_none_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(CannotStart, match="PORT"):
        Address.from_environment()


def test_empty_variables_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("HOST", "")
    assert Address.from_environment() == Address("127.0.0.1", 8000)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_port_that_is_taken_is_named_with_what_to_do(host: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, *LAUNCHER],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PORT": str(port), "TRAINYARD_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)
    assert str(port) in done.stderr
    assert "make run PORT=" in done.stderr
    assert not (tmp_path / "home").exists()


def test_last_line_says_how_to_sign_in_and_not_the_password(tmp_path: Path) -> None:
    address = Address("0.0.0.0", 8001)
    assert how_to_sign_in(address, tmp_path).startswith(
        "Trainyard is ready: open http://127.0.0.1:8001/ and sign in, or make an account."
    )
    (tmp_path / "admin_password").write_text("admin\nsecret\n")
    said = how_to_sign_in(address, tmp_path)
    assert f"sign in as admin with the password in {tmp_path / 'admin_password'}." in said
    assert "secret" not in said
