"""A real web process and clients that take their time, send what nobody wants, or go away in the middle.

Nobody else notices, and the honest ones among them arrive.
"""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools.platform_process import PlatformProcess
from tests.integration.jobs import wait_until
from tests.tiny_models import picture

TOKEN = "imageClassification-colours-0"
MAKE = f"from tests.tiny_models import live_colour_model; live_colour_model(token={TOKEN!r})"
PREDICT = f"/api/v1/models/{TOKEN}/predict/"
RED = picture("red")
LARGE = 8 * 2**20  # bytes of a file to download; more than any socket holds
BIG_FILE = f"""
from pathlib import Path
from django.conf import settings
from models_registry.models import Artifact
file = Artifact.objects.get(model__token={TOKEN!r})
path = Path(settings.BUCKET_FOLDER) / "large.onnx"
path.write_bytes(bytes(range(256)) * {LARGE // 256})
Artifact.objects.create(model=file.model, kind="torchscript", key="large.onnx", size={LARGE}, sha256="0" * 64)
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    home: Path = tmp_path_factory.mktemp("slow") / "home"
    limits = "predict-token=none,predict-address=none,address=none,upload=none"
    with PlatformProcess(home, worker=False, env={"THROTTLE_RATES": limits}) as platform:
        platform.manage("shell", "--no-imports", "-c", MAKE + "\n" + BIG_FILE)
        yield platform


@pytest.fixture
def sockets(platform: PlatformProcess) -> Iterator[Callable[..., socket.socket]]:
    with contextlib.ExitStack() as stack:

        def connect(*, window: int = 0) -> socket.socket:
            sock = stack.enter_context(contextlib.closing(socket.socket()))
            if window:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            sock.settimeout(60)
            sock.connect(("127.0.0.1", platform.port))
            return sock

        yield connect


def head(path: str, *, method: str = "GET", **headers: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def form(content: bytes) -> tuple[str, bytes]:
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    return "multipart/form-data; boundary=x", start + content + b"\r\n--x--\r\n"


def answers_in(seconds: float, ask: Callable[[], requests.Response]) -> requests.Response:
    began = time.monotonic()
    answer = ask()
    assert time.monotonic() - began < seconds
    return answer


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes; a reset after the answer is an end, too."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(2**16):
            received += piece
    return bytes(received)


def test_slow_clients_of_every_kind_hold_up_nobody(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    dripping = []
    for _ in range(200):
        sock = sockets()
        sock.sendall(b"GET /health/live/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        dripping.append(sock)
    kind, body = form(RED + bytes(2_000_000))
    for _ in range(50):  # half of them so large that the server asks before it reads
        sock = sockets()
        length = len(body) if _ % 2 else 500_000
        sock.sendall(head(PREDICT, method="POST", Content_Type=kind, Content_Length=length) + body[:100])
        dripping.append(sock)
    for _ in range(10):  # requests one behind the other, half of one at the end
        sock = sockets()
        sock.sendall(head("/health/live/") * 20 + b"GET /hea")
    for _ in range(20):
        sock = sockets(window=4096)
        sock.sendall(head(f"/api/v1/models/{TOKEN}/download/?format=pytorch"))
    over = threading.Event()

    def drip() -> None:
        while not over.wait(1):
            for sock in dripping:
                with contextlib.suppress(OSError):
                    sock.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        ends = time.monotonic() + 8
        while time.monotonic() < ends:
            live = answers_in(2, lambda: requests.get(f"{platform.base_url}/health/live/", timeout=10))
            assert live.status_code == 200
            answer = answers_in(
                5,
                lambda: requests.post(
                    platform.base_url + PREDICT, files={"file": ("a.png", RED)}, timeout=10
                ),
            )
            assert answer.json()["predictions"][0]["label"] == "red"
    finally:
        over.set()
        thread.join()


def test_a_head_that_does_not_end_is_given_up(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    sock = sockets()
    began = time.monotonic()
    over = threading.Event()

    def drip() -> None:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            while not over.wait(0.5):
                sock.sendall(b"A: b\r\n")

    thread = threading.Thread(target=drip)
    thread.start()
    answer = read_all(sock)
    over.set()
    thread.join()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 9 < time.monotonic() - began < 20


def test_a_slow_upload_that_goes_on_arrives(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    """At 200 kB a second, in pieces with pauses; much longer than a thread would wait for a client."""
    sock = sockets()
    kind, body = form(RED + bytes(1_500_000))
    sock.sendall(
        head(PREDICT, method="POST", Content_Type=kind, Content_Length=len(body), Connection="close")
    )
    for start in range(0, len(body), 20_000):
        sock.sendall(body[start : start + 20_000])
        time.sleep(0.1)
    status, _, content = read_all(sock).partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200 ")
    assert json.loads(content)["predictions"][0]["label"] == "red"


def test_a_slow_reader_gets_everything(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    sock = sockets(window=65536)
    sock.sendall(head(f"/api/v1/models/{TOKEN}/download/?format=pytorch", Connection="close"))
    time.sleep(1)
    status, _, content = read_all(sock).partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200 ")
    assert len(content) == LARGE
    assert content == bytes(range(256)) * (LARGE // 256)


def test_connections_are_kept_and_requests_behind_each_other_answered_in_order(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    sock = sockets()
    kind, body = form(RED)
    predict = head(PREDICT, method="POST", Content_Type=kind, Content_Length=len(body)) + body
    wanted = [
        head("/health/live/"),
        predict,
        b"\r\n" + head("/nowhere/"),
        predict,
        head("/", Connection="close"),
    ]
    sock.sendall(b"".join(wanted))
    received = read_all(sock)
    statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", received)
    assert statuses == [b"200", b"200", b"404", b"200", b"200"]
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{platform.base_url}/health/live/").headers["Connection"] == "keep-alive"


UNWANTED = [
    pytest.param("/api/v1/models/imageClassification-nobody-1/batches/", {}, 404, id="unknown model"),
    pytest.param("/api/v1/datasets/", {}, 401, id="stranger's data"),
    pytest.param("/new/data/", {}, 403, id="form without a cookie"),
    pytest.param("/accounts/login/", {}, 413, id="too large for the page"),
    pytest.param(PREDICT.replace("predict", "batches"), {"Content_Type": "text/csv"}, 415, id="no form"),
    pytest.param("/flash/train", {}, 200, id="Flash's training that is switched off"),
]


@pytest.mark.parametrize(("path", "headers", "status"), UNWANTED)
@pytest.mark.parametrize("expects", [True, False])
def test_what_is_not_wanted_is_refused_from_its_head(
    platform: PlatformProcess,
    sockets: Callable[..., socket.socket],
    path: str,
    headers: dict[str, str],
    status: int,
    expects: bool,
) -> None:
    sock = sockets()
    sent = {"Content_Type": "multipart/form-data; boundary=x", "Content_Length": 900_000_000, **headers}
    sock.sendall(head(path, method="POST", **sent, **({"Expect": "100-continue"} if expects else {})))
    if not expects:
        with contextlib.suppress(ConnectionError):  # who goes on sending is cut off, soon
            for _ in range(900):
                sock.sendall(bytes(1_000_000))
            pytest.fail("all of it was read")
    answer = read_all(sock)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer
    assert not list((platform.home / "tmp").iterdir())


def test_who_asks_first_is_told_to_send(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    for padding in (0, 2_000_000):
        sock = sockets()
        kind, body = form(RED + bytes(padding))
        wanted = {"Content_Type": kind, "Content_Length": len(body), "Expect": "100-continue"}
        sock.sendall(head(PREDICT, method="POST", **wanted, Connection="close"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")


def test_bodies_without_a_length_are_refused(
    platform: PlatformProcess, sockets: Callable[..., socket.socket]
) -> None:
    sock = sockets()
    sock.sendall(head(PREDICT, method="POST", Transfer_Encoding="chunked") + b"5\r\nhello\r\n")
    assert b"Content-Length" in (answer := read_all(sock))
    assert answer.startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 9_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_requests_that_are_none_are_refused(
    platform: PlatformProcess, sockets: Callable[..., socket.socket], sent: bytes, status: int
) -> None:
    sock = sockets()
    sock.sendall(sent)
    assert int(read_all(sock).split()[1]) == status


@contextlib.contextmanager
def another_process(platform: PlatformProcess, **env: str) -> Iterator[PlatformProcess]:
    """Serve the same home once more, otherwise."""
    other = PlatformProcess(platform.home, env=env)
    try:
        other.start_web()
        yield other
    finally:
        other.stop()


def test_what_has_waited_longest_makes_room_for_who_comes(platform: PlatformProcess) -> None:
    """More connections than a process may have: those that say nothing go, whoever asks is answered."""
    with (
        another_process(platform, GUNICORN_CMD_ARGS="--worker-connections 40") as other,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(200):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", other.port), timeout=10))
            sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        answers_in(2, lambda: requests.get(f"{other.base_url}/health/live/", timeout=10))


def test_a_stopping_process_finishes_what_was_begun(platform: PlatformProcess) -> None:
    with another_process(platform) as other:
        kind, body = form(RED)
        with socket.create_connection(("127.0.0.1", other.port), timeout=30) as sock:
            sock.sendall(
                head(PREDICT, method="POST", Content_Type=kind, Content_Length=len(body)) + body[:-5]
            )
            assert other.web is not None
            web: Any = other.web
            web.terminate()
            wait_until("no new connections", lambda: not _accepts(other.port), within=10)
            sock.sendall(body[-5:])
            assert read_all(sock).startswith(b"HTTP/1.1 200 ")
        assert web.wait(timeout=20) == 0


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
