"""Thousands of hostile requests to a real web process: no fault of ours, and it serves on."""

import contextlib
import http.client
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devtools import servers
from devtools.platform_process import PlatformProcess
from tests.integration.hostile_requests import Fuzzer, HostileRequest, Somebody, addresses
from tests.tiny_models import picture

CLIENTS = 6
SEED = 12
PATIENCE = 30  # seconds for one answer, on a machine that others use as well
SHOWN = 5
ALLOWED = re.compile(rb"[A-Z]+ /health/")  # says 503 as long as no worker runs
UNLIMITED = ",".join(
    f"{scope}=none" for scope in ("user", "address", "predict-token", "predict-address", "upload")
)
RED = picture("red")

SET_UP = """
import json
from datetime import timedelta
from django.test import Client
from knox.models import AuthToken
from tests.factories import BatchFactory, DatasetFactory, EvaluationFactory, TrainingJobFactory, UserFactory
from tests.tiny_models import live_colour_model, live_mood_model
user, root = UserFactory(), UserFactory(is_staff=True, is_superuser=True)
model, text = live_colour_model(owner=user), live_mood_model(owner=user)
job = TrainingJobFactory(dataset=DatasetFactory(owner=user))
batch = BatchFactory(owner=user, model=text)
sessions = []
for one in (user, root):
    client = Client()
    client.force_login(one)
    sessions.append(client.cookies["sessionid"].value)
token = AuthToken.objects.create(user)[1]
evaluation = EvaluationFactory(model=text, author=user)
project = text.project
known = {
    "models": [model.token, text.token, project.token], "jobs": [str(job.pk)], "datasets": [str(job.dataset.pk)],
    "batches": [batch.identifier], "projects": [str(project.public_id)], "versions": [str(text.version)],
    "evaluations": [str(evaluation.identifier)], "user": [str(root.pk)],
}
print(json.dumps({"known": known, "sessions": sessions, "token": token}))
"""


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.servers)])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PlatformProcess]:
    with contextlib.ExitStack() as stack:
        env = {"THROTTLE_RATES": UNLIMITED, "WEB_CONCURRENCY": "2", "FLASH_ALLOW_TRAINING": "true"}
        if request.param == "postgres":
            env["DATABASE_URL"] = stack.enter_context(servers.postgres_database())
        yield stack.enter_context(PlatformProcess(tmp_path / "home", worker=False, env=env))


class HostileClient(threading.Thread):
    """Sends requests one after the other on a connection, and notes what no client may see."""

    def __init__(self, port: int, fuzzer: Fuzzer, count: int) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.answers: Counter[int] = Counter()
        self._port, self._requests = port, fuzzer.requests(count)
        self._sock: socket.socket | None = None

    def run(self) -> None:
        for request in self._requests:
            try:
                self._send(request)
            except TimeoutError:
                self._note("no answer", request)
                self._forget()
        self._forget()

    def _send(self, request: HostileRequest) -> None:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
        try:
            self._sock.sendall(request.content)
            if request.breaks_off:
                self._forget()
                return
            answer = http.client.HTTPResponse(self._sock, method=request.method)
            answer.begin()
            answer.read()
        except (ConnectionError, http.client.HTTPException):  # closed behind a request that was refused
            self._forget()
            return
        self.answers[answer.status] += 1
        if answer.status >= 500 and not (answer.status == 503 and ALLOWED.match(request.content)):
            self._note(str(answer.status), request)
        if answer.will_close:
            self._forget()

    def _note(self, what: str, request: HostileRequest) -> None:
        self.faults.append(f"{what}: {request.content[:1500]!r}")

    def _forget(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None


@pytest.mark.parametrize("count", [1_500, pytest.param(10_000, marks=pytest.mark.long)])
def test_hostile_requests_are_no_fault_of_ours(platform: PlatformProcess, count: int) -> None:
    found = json.loads(platform.manage("shell", "--no-imports", "-c", SET_UP).stdout.splitlines()[-1])
    csrf = "a" * 32
    host = ("Host", "127.0.0.1")
    people = [Somebody((host,)), Somebody((host, ("Authorization", f"Token {found['token']}")))]
    people += [
        Somebody((host, ("Cookie", f"sessionid={session}; csrftoken={csrf}"), ("X-CSRFToken", csrf)))
        for session in found["sessions"] * 2  # most pages are for those who have signed in
    ]
    paths = addresses()
    clients = [
        HostileClient(platform.port, Fuzzer(SEED + number, paths, people, found["known"]), count // CLIENTS)
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    faults = [fault for client in clients for fault in client.faults]
    assert not faults, f"{len(faults)} of {count}:\n" + "\n".join(faults[:SHOWN]) + platform.log("web")
    answers = sum((client.answers for client in clients), Counter[int]())
    assert answers.total() > count * 0.9
    assert answers[200] > count * 0.05, f"most of them are turned away at the door: {answers}"
    assert requests.get(f"{platform.base_url}/health/live/", timeout=PATIENCE).status_code == 200
    predict = f"{platform.base_url}/api/v1/models/{found['known']['models'][0]}/predict/"
    model = requests.get(
        predict.replace("predict/", ""), headers={"Authorization": f"Token {found['token']}"}, timeout=9
    )
    if model.ok and model.json()["state"] == "live":  # hostile requests of its owner may have retired it
        answer = requests.post(predict, files={"file": ("red.png", RED)}, timeout=PATIENCE)
        assert answer.json()["predictions"][0]["label"] == "red"
