"""Everything that costs a thousand times its size, at once: the platform answers, and stays small."""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from devtools import bombs
from devtools.platform_process import PlatformProcess
from tests.integration.jobs import children_of
from tests.tiny_models import picture

MB = 2**20
LASTS = 12.0  # seconds
LIVE_WITHIN, PREDICTS_WITHIN = 2.0, 5.0  # seconds
MOST_MEMORY = 1500 * MB  # of one web process
UNLIMITED = ",".join(
    f"{scope}=none" for scope in ("user", "address", "predict-token", "predict-address", "upload")
)
RED = picture("red")
SET_UP = """
import json
from knox.models import AuthToken
from tests.factories import UserFactory
from tests.tiny_models import live_colour_model, live_mood_model
user = UserFactory()
known = {"image": live_colour_model().token, "text": live_mood_model().token, "key": AuthToken.objects.create(user)[1]}
print(json.dumps(known))
"""

Attack = Callable[[], requests.Response]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformProcess]:
    env = {"THROTTLE_RATES": UNLIMITED, "FLASH_ALLOW_TRAINING": "true"}
    with PlatformProcess(tmp_path / "home", worker=False, env=env) as platform:
        yield platform


def attacks(platform: PlatformProcess, known: dict[str, str]) -> dict[str, Attack]:
    """Return every bomb by its name, each as a call that throws it once."""
    api, key = f"{platform.base_url}/api/v1", {"Authorization": f"Token {known['key']}"}
    photo = bombs.blank_png(7000, 7000)

    def predict(*pictures: bytes) -> Attack:
        files = [("file", ("a.png", content)) for content in pictures]
        return lambda: requests.post(f"{api}/models/{known['image']}/predict/", files=files, timeout=60)

    def batch(model: str, name: str, content: bytes) -> Attack:
        address = f"{api}/models/{known[model]}/batches/"
        return lambda: requests.post(address, files={"file": (name, content)}, timeout=60)

    def data_set(task: str, name: str, content: bytes) -> Attack:
        form = {"name": "Bomb", "task_type": task}
        files = {"file": (name, content)}
        return lambda: requests.post(f"{api}/datasets/", data=form, files=files, headers=key, timeout=60)

    def check(content: bytes) -> Attack:
        return lambda: requests.post(f"{platform.base_url}/flash/check", files={"json": content}, timeout=60)

    texts, images = "textclassification", "imageclassification"
    parquet, entries = bombs.parquet_of_one_text(900 * 10**6), bombs.list_of_files(4_000_000, zip64=True)
    endless = b"input,label\n" + b"x" * 300 * MB
    pictures = {f"{kind}/{number}.png": photo for kind in "ab" for number in range(20)}
    return {
        "eight large pictures": predict(*[photo] * 8),
        "a picture of 1,500 scans": predict(bombs.jpeg_of_scans(3000, 2000, 1500)),
        "a zip of large pictures as data": data_set(images, "a.zip", bombs.zip_of(pictures)),
        "a zip of large pictures as a batch": batch("image", "a.zip", bombs.zip_of(pictures)),
        "a zip of four million entries as data": data_set(images, "a.zip", entries),
        "a zip of four million entries as a batch": batch("image", "a.zip", entries),
        "a table of one text as data": data_set(texts, "a.parquet", parquet),
        "a table of one text as a batch": batch("text", "a.parquet", parquet),
        "a table without an end of line": data_set(texts, "a.csv", endless),
        "27 MB of JSON": check(json.dumps({"token": [[0] * 10] * 900_000}).encode()),
    }


@contextlib.contextmanager
def slow_clients(platform: PlatformProcess, count: int = 50) -> Iterator[None]:
    """Keep connections that never end their requests."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", platform.port), timeout=10))
            body = b"POST /flash/check HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            sock.sendall(body if number % 2 else b"GET / HTTP/1.1\r\nX: ")
        yield


class Attacker(threading.Thread):
    """Throws one bomb again and again; `outcomes` are the statuses, or what broke."""

    def __init__(self, attack: Attack, over: threading.Event) -> None:
        super().__init__()
        self.outcomes: Counter[int | str] = Counter()
        self._attack, self._over = attack, over

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self.outcomes[self._attack().status_code] += 1
            except requests.RequestException as error:  # refused from its head, while it was being sent
                self.outcomes[type(error).__name__] += 1


def memory_of(pid: int) -> int:
    """Return the most bytes that a process has had; proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def processes_of(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    return [pid, *(one for child in children_of(pid) for one in processes_of(child))]


def test_all_bombs_at_once_stop_nobody(platform: PlatformProcess) -> None:
    known = json.loads(platform.manage("shell", "--no-imports", "-c", SET_UP).stdout.splitlines()[-1])
    predict = f"{platform.base_url}/api/v1/models/{known['image']}/predict/"
    assert requests.post(predict, files={"file": ("a.png", RED)}, timeout=60).ok  # the model is loaded
    over = threading.Event()
    attackers = {name: Attacker(attack, over) for name, attack in attacks(platform, known).items()}
    lives, predictions = [], []
    with slow_clients(platform):
        for attacker in attackers.values():
            attacker.start()
        try:
            ends = time.monotonic() + LASTS
            while time.monotonic() < ends:
                began = time.monotonic()
                live = requests.get(f"{platform.base_url}/health/live/", timeout=60)
                lives.append(time.monotonic() - began)
                assert live.status_code == 200
                began = time.monotonic()
                answer = requests.post(predict, files={"file": ("a.png", RED)}, timeout=60)
                predictions.append(time.monotonic() - began)
                assert answer.json()["predictions"][0]["label"] == "red"
        finally:
            over.set()
            for attacker in attackers.values():
                attacker.join()
    assert platform.web is not None
    memory = [memory_of(pid) for pid in processes_of(platform.web.pid)]
    outcomes = {name: dict(attacker.outcomes) for name, attacker in attackers.items()}
    found = f"live {max(lives):.1f} s, prediction {max(predictions):.1f} s, memory {max(memory) // MB} MB: {outcomes}"
    print(found)
    assert max(lives) < LIVE_WITHIN, found
    assert max(predictions) < PREDICTS_WITHIN, found
    assert max(memory) < MOST_MEMORY, found
    assert all(attacker.outcomes.total() for attacker in attackers.values()), found
    statuses = {code for one in outcomes.values() for code in one if isinstance(code, int)}
    assert max(statuses) < 500, found
