"""Which broker a web process talks to, found out in processes that nobody has set a variable for."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, _state
from django.core.checks import run_checks

from core.queue.app import app, find_broker_problem, send_hint
from devtools.platform_process import ROOT

NOBODY_LISTENS = "redis://127.0.0.1:1/0"
SEND_FROM_A_THREAD = """
import json, sys, threading
sys.path[:0] = ["platform"]
import config.{entry}
from core.queue.app import app, send_hint
from celery.app import app_or_default
found = {{}}
def look():
    with app_or_default().connection_for_write() as connection:
        found.update(sent=send_hint("some.task", 7, queue="cpu"), transport=str(connection.transport_cls))
thread = threading.Thread(target=look)
thread.start()
thread.join()
print(json.dumps(found))
"""


def run(code: str, home: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as a server's own launcher would, without Django's variable or any of ours."""
    given = {"TRAINYARD_HOME": str(home), "PATH": os.environ["PATH"], **env}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("entry", ["wsgi", "asgi"])
def test_threads_of_a_server_send_to_the_configured_broker(entry: str, tmp_path: Path) -> None:
    done = run(SEND_FROM_A_THREAD.format(entry=entry), tmp_path, CELERY_BROKER_URL="")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"sent": True, "transport": "core.queue.broker:Transport"}
    assert len(list((tmp_path / "broker" / "messages").glob("*.cpu.msg"))) == 1


def test_server_refuses_to_come_up_with_another_broker(tmp_path: Path) -> None:
    code = SEND_FROM_A_THREAD.format(entry="wsgi")
    done = run(code, tmp_path, CELERY_BROKER_WRITE_URL="redis://:secret@127.0.0.1:1/0")
    assert done.returncode
    assert "CELERY_BROKER_WRITE_URL" in done.stderr.splitlines()[-1]
    assert "secret" not in done.stderr
    assert not list((tmp_path / "broker" / "messages").iterdir())


def test_queue_cannot_be_imported_before_the_settings_are_named(tmp_path: Path) -> None:
    done = run("import sys; sys.path[:0] = ['platform']; import core.queue.app", tmp_path)
    assert done.returncode
    assert "DJANGO_SETTINGS_MODULE" in done.stderr.splitlines()[-1]


@pytest.fixture
def another_default() -> Iterator[None]:
    _state.set_default_app(Celery("another", set_as_current=False))
    yield
    app.set_default()


def test_application_is_the_default_of_every_thread() -> None:
    with ThreadPoolExecutor(max_workers=1) as fresh:
        assert fresh.submit(_state.get_current_app).result() is app
    assert find_broker_problem() == ""


@pytest.mark.usefixtures("another_default")
def test_another_application_by_default_is_found() -> None:
    assert "another" in find_broker_problem()
    assert "core.E003" in [message.id for message in run_checks()]


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"])
def test_variable_that_overrules_the_settings_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, NOBODY_LISTENS)
    assert name in find_broker_problem()
    monkeypatch.setenv(name, "memory://")
    assert find_broker_problem() == ""


@pytest.mark.parametrize("url", ["nonsense://somewhere", "redis://127.0.0.1:port/0"])
def test_address_that_is_none_is_named(url: str, settings: Any) -> None:
    assert app.conf.broker_url != url  # which it reads once
    settings.CELERY_BROKER_URL = url
    assert "CELERY_BROKER_URL" in find_broker_problem()


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("an answer that is none"), RuntimeError("?")])
def test_hint_that_is_not_taken_is_no_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(app, "send_task", refuse)
    assert send_hint("some.task", 7, queue="cpu") is False
    monkeypatch.undo()
    assert send_hint("some.task", 7, queue="cpu") is True
