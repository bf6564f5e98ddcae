"""Models that change while two web processes are asked for them without a pause: 200 or 404, never a wrong model."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devtools.platform_process import PlatformProcess
from tests.tiny_models import picture

CLIENTS = 6
TOKEN = "imageClassification-colours-0"
RED = picture("red")

# Use is noted seconds later, and would move an expiry on that a test has set meanwhile.
MAKE = "from control.services import use_retention_preset as use; use('demo'); "
MAKE += f"from tests.tiny_models import live_colour_model; live_colour_model(token={TOKEN!r})"
# Another file under another key, as a second attempt of a training would publish it.
REPLACE = f"""
import hashlib
from io import BytesIO
from bucket.factory import get_bucket
from models_registry.models import Artifact
from tests.tiny_models import colour_model
content = colour_model({TOKEN!r}).replace(b'"red"', b'"RED"')
file = Artifact.objects.get(model__token={TOKEN!r})
old, file.key = file.key, file.key + ".2"
file.sha256, file.size = hashlib.sha256(content).hexdigest(), len(content)
get_bucket().save(file.key, BytesIO(content))
file.save()
get_bucket().delete(old)
"""
MODEL = f"from models_registry.models import RegisteredModel as M; model = M.objects.get(token={TOKEN!r}); "
RETIRE = MODEL + "from models_registry.services import retire_model; retire_model(model=model)"
RESTORE = MODEL + "from models_registry.services import restore_model; restore_model(model=model)"
EXPIRE = (
    MODEL + "import datetime as d; M.objects.update(expires_at=d.datetime.now(d.UTC) - d.timedelta(days=3))"
)
KEEP = MODEL + "import datetime as d; from models_registry.services import keep_model as keep; "
KEEP += "keep(model=model, extra=d.timedelta(hours=1))"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformProcess]:
    # A cache of no bytes loads the file again and again, which is when it may be gone.
    env = {
        "WEB_CONCURRENCY": "2",
        "PREDICTOR_CACHE_BYTES": "0",
        "THROTTLE_RATES": "predict-token=none,predict-address=none",
    }
    with PlatformProcess(tmp_path / "home", worker=False, env=env) as platform:
        yield platform


class Clients:
    """Ask from several threads until told to stop; `answers` are (when asked, status, label)."""

    def __init__(self, platform: PlatformProcess) -> None:
        self.answers: list[tuple[float, int, str]] = []
        self._address = f"{platform.base_url}/api/v1/models/{TOKEN}/predict/"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment: float, count: int = 20) -> set[tuple[int, str]]:
        """Wait for some answers to calls that began after a moment, and return the different ones."""
        deadline = time.monotonic() + 30
        while True:
            found = [(status, label) for began, status, label in self.answers if began > moment]
            if len(found) >= count:
                return set(found)
            assert time.monotonic() < deadline, "nobody answers"
            time.sleep(0.01)

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._over.is_set():
                began = time.monotonic()
                answer = session.post(self._address, files={"file": ("red.png", RED)}, timeout=30)
                found = answer.json()["predictions"][0]["label"] if answer.status_code == 200 else ""
                self.answers.append((began, answer.status_code, found))


def test_models_change_under_load_in_two_processes(platform: PlatformProcess) -> None:
    def change(code: str) -> float:
        """Run a piece of code in a process of its own; returns when it was done."""
        platform.manage("shell", "--no-imports", "-c", code)
        return time.monotonic()

    change(MAKE)
    with Clients(platform) as clients:
        assert clients.since(0) == {(200, "red")}
        assert clients.since(change(REPLACE)) == {(200, "RED")}
        assert clients.since(change(RETIRE)) == {(404, "")}
        assert clients.since(change(RESTORE)) == {(200, "RED")}
        assert clients.since(change(EXPIRE)) == {(404, "")}  # although no clean-up has come by
        assert clients.since(change(KEEP)) == {(200, "RED")}
        change(EXPIRE)
        platform.manage("cleanup")
        assert clients.since(time.monotonic()) == {(404, "")}
    assert {(status, label) for _, status, label in clients.answers} == {
        (200, "red"),
        (200, "RED"),
        (404, ""),
    }
