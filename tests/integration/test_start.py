"""`make run` as a person runs it: what it prints, how it ends, and what it leaves."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devtools.platform_process import (
    ROOT,
    STOPS_WITHIN,
    PlatformError,
    PlatformProcess,
    WholePlatform,
    in_procfile,
    processes_of,
)

from .jobs import wait_until
from .pages import Visitor

ENDS_WITHIN = 12.0  # seconds


def test_run_tells_a_newcomer_what_to_do_and_leaves_nothing(tmp_path: Path, backbones: Path) -> None:
    with WholePlatform(tmp_path / "home", backbones=backbones) as platform:
        prepares, starts, ready = platform.log("run").splitlines()
        assert prepares == f"Trainyard prepares {tmp_path / 'home'}"
        assert starts.startswith("Trainyard starts")
        path = tmp_path / "home" / "admin_password"
        assert ready == (
            f"Trainyard is ready: open {platform.base_url}/ and sign in as admin with the password in {path}. "
            "Ctrl-C ends it."
        )
        name, password = path.read_text().split()
        with Visitor(platform.base_url, name, password) as visitor:
            assert "New model" in visitor.read("/new/")
            health = requests.get(f"{platform.base_url}/health/", timeout=10).json()
            assert (health["worker"], health["broker"]) == ("ok", "ok")
        began = time.monotonic()
        platform.stop()  # raises when a process is left
        assert time.monotonic() - began < ENDS_WITHIN
        said = platform.log("run").splitlines()
        assert said[3:] == ["Trainyard ends."]
        assert not any(password in line for line in said)


def test_links_of_mails_go_into_a_private_folder(tmp_path: Path) -> None:
    with PlatformProcess(tmp_path / "home", worker=False) as platform:
        make = "from tests.factories import UserFactory; UserFactory(username='ann', email='ann@example.org')"
        platform.manage("shell", "-v0", "-c", make)
        with requests.Session() as session:
            address = f"{platform.base_url}/accounts/password/reset/"
            page = session.get(address, timeout=10)
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
            assert token
            answer = session.post(
                address,
                data={"email": "ann@example.org", "csrfmiddlewaretoken": token[1]},
                headers={"Referer": address},
                timeout=10,
            )
            assert answer.ok
            folder = platform.home / "mail"
            [mail] = wait_until("a mail is there", lambda: list(folder.iterdir()), within=10)
            link = re.search(r"/accounts/password/reset/key/\S+", mail.read_text())
            assert link
            session.get(f"{platform.base_url}{link[0][:-2]}xx/", timeout=10)
            session.get(f"{platform.base_url}{link[0]}nothing/", timeout=10)
        assert folder.stat().st_mode & 0o077 == 0
        key = link[0].removeprefix("/accounts/password/reset/key/").strip("/")
        assert key.rpartition("-")[2] not in platform.log("web", characters=100_000)
        assert key[:-2] not in platform.log("web", characters=100_000)


@pytest.fixture
def _hears_hangups() -> Iterator[None]:
    """Let what a test starts hear SIGHUP, though whoever started the tests may ignore it, as nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hears_hangups")
@pytest.mark.parametrize(
    ("asked", "processes"),
    [(signal.SIGINT, 2), (signal.SIGHUP, 2), (signal.SIGTERM, 4)],
    ids=["SIGINT while it prepares", "SIGHUP while it prepares", "SIGTERM while its parts start"],
)
def test_run_ends_while_it_still_starts(
    asked: signal.Signals, processes: int, tmp_path: Path, backbones: Path
) -> None:
    platform = WholePlatform(tmp_path / "home", backbones=backbones)
    platform.start(wait_until_ready=False)
    launcher = platform.launcher
    assert launcher is not None
    try:
        wait_until("its parts start", lambda: len(processes_of(platform.home)) >= processes, within=60)
        began = time.monotonic()
        launcher.send_signal(asked)  # to the parent alone
        assert launcher.wait(timeout=STOPS_WITHIN) == 0
        assert time.monotonic() - began < ENDS_WITHIN
        assert processes_of(platform.home) == {}
        assert "Traceback" not in platform.log("run")
    finally:
        platform.stop()


def test_run_says_which_part_has_ended(tmp_path: Path) -> None:
    env = {"CELERY_BROKER_WRITE_URL": "redis://127.0.0.1:1/0"}
    with (
        pytest.raises(PlatformError, match="could not be prepared"),
        WholePlatform(tmp_path / "home", env=env),
    ):
        pass
    said = (tmp_path / "home" / "logs" / "run.log").read_text()
    assert "CELERY_BROKER_WRITE_URL" in said
    assert "Traceback" not in said


def test_web_process_refuses_to_serve_with_another_broker(tmp_path: Path) -> None:
    with PlatformProcess(tmp_path / "home", web=False, worker=False) as platform:
        done = subprocess.run(
            in_procfile("web"),
            cwd=ROOT,
            env={**platform.env, "CELERY_BROKER_WRITE_URL": "redis://127.0.0.1:1/0"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode
    assert "CELERY_BROKER_WRITE_URL" in done.stderr
