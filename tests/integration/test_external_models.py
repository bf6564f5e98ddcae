"""Hostile models in the bucket of a real platform, asked for over REST: nothing is read, nobody is stopped."""

import contextlib
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools import servers
from devtools.platform_process import PlatformProcess, processes_of
from tests import hostile_models as hostile
from tests.tiny_models import COLOURS, picture

OURS = "imageClassification-colours-0"
MAKE = f"from tests.tiny_models import live_colour_model; live_colour_model(token={OURS!r})"
LIMITS = {
    "EXTERNAL_MODEL_SECONDS": "2",
    "EXTERNAL_MODEL_MEMORY_BYTES": str(2**29),
    "RECONCILE_SECONDS": "1",
    "THROTTLE_RATES": "predict-token=none,predict-address=none",
}
SECRETS = ("secret_key", "admin_password")
MOST_MEMORY = 1500 << 10  # kB of one process
WHITE, RED = picture("white"), picture("red")

# Those that read files name them as from every folder in which a process of the platform could be.
PLACES = ("{}", ".data/{}", "../{}", "{home}/{}")
HOSTILE: dict[str, bytes] = {
    "loop": hostile.endless_loop(),
    "loop-of-nothing": hostile.endless_loop(with_nodes=False),
    "memory": hostile.memory_hog(2**40),
    "memory-slowly": hostile.memory_hog(2**31),
    "memory-opened": hostile.memory_hog(2**31, when_opened=True),
    "operator": hostile.foreign_operator(),
    "deep": hostile.with_metadata("[" * 100_000),
    "nul": hostile.described_with(classes=["nul\x00", "b", "c"]),
    "nonsense": hostile.not_numbers(),
    "damaged": hostile.endless_loop()[:300],
    "disguised": b"\x00\x00\x00\x00ORTM" + bytes(1000),
}
SLEEPERS = {
    "sleeping-loop": hostile.endless_loop_when_bright(),
    "sleeping-memory": hostile.memory_hog_when_bright(2**33),
}
IN_BATCHES = "sleeping-batch"


def entry(token: str) -> dict[str, Any]:
    return {
        "task_type": "imageclassification",
        "model_filename": f"imageclassification/{token}.pt",
        "model_filename_onnx": f"imageclassification/{token}.onnx",
        "classes": list(COLOURS),
        "downloadable": True,
        "accuracy": 91.5,
        "accuracy_plot": "iVBORw0KGgo=",
        "created": "10-01-21 18:13",
    }


class Bucket:
    """The bucket as an attacker has it: files and entries. Nobody else may write meanwhile."""

    def put(self, key: str, content: bytes) -> None:
        raise NotImplementedError

    def get(self, key: str) -> bytes:
        raise NotImplementedError

    def bring(self, models: dict[str, bytes]) -> None:
        for token, content in models.items():
            self.put(f"imageclassification/{token}.pt", b"torchscript")
            self.put(f"imageclassification/{token}.onnx", content)
        document = json.loads(self.get("inference.json"))
        self.put(
            "inference.json", json.dumps({**document, **{token: entry(token) for token in models}}).encode()
        )


class FolderBucket(Bucket):
    def __init__(self, home: Path) -> None:
        self.root = home / "bucket"

    def put(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.draft")
        draft.write_bytes(content)
        draft.replace(path)

    def get(self, key: str) -> bytes:
        return (self.root / key).read_bytes()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, backbones: Path) -> Iterator[PlatformProcess]:
    home = tmp_path_factory.mktemp("external") / "home"
    with PlatformProcess(home, worker=False, env=LIMITS, backbones=backbones) as platform:
        platform.manage("ensure_admin")
        platform.manage("shell", "--no-imports", "-c", MAKE)
        kinds = enumerate(hostile.EXTERNAL_DATA.items())
        readers = {
            f"reads-{kind.replace('_', '-')}": make(
                PLACES[number % len(PLACES)].format(SECRETS[number % 2], home=home)
            )
            for number, (kind, make) in kinds
        }
        FolderBucket(home).bring({**readers, **HOSTILE, **SLEEPERS, IN_BATCHES: SLEEPERS["sleeping-loop"]})
        platform.start_worker("--queues", "batches", wait_until_warm=False)
        yield platform


def ask(platform: PlatformProcess, token: str, image: bytes = WHITE, **query: str) -> requests.Response:
    return requests.post(
        f"{platform.base_url}/api/v1/models/{token}/predict/",
        files={"file": ("image.png", image)},
        params=query,
        timeout=120,
    )


def wait_until(found: Callable[[], Any], *, within: float = 120) -> Any:
    deadline = time.monotonic() + within
    while (value := found()) in (None, False):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.1)
    return value


def looked_at(platform: PlatformProcess, token: str) -> requests.Response:
    """Return the first answer of a model whose files a worker has looked at."""
    deadline = time.monotonic() + 120
    while True:
        answer = ask(platform, token, RED)
        if answer.status_code not in (404, 429) and "not been looked at" not in answer.text:
            return answer
        assert time.monotonic() < deadline, (token, answer.text, platform.log("worker"))
        time.sleep(0.2)


def most_memory(home: Path) -> dict[str, int]:
    """Return the most that each process of the platform has had in memory so far, in kB."""
    found = {}
    for pid, command in processes_of(home).items():
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
            found[f"{pid} {command}"] = int(lines[0].split()[1]) if lines else 0
    assert found
    return found


def test_no_model_reads_a_file_or_stops_what_looks_at_it(platform: PlatformProcess) -> None:
    secrets = [(platform.home / name).read_text().strip() for name in SECRETS]
    document = json.loads(FolderBucket(platform.home).get("inference.json"))
    for token in (token for token in document if token not in (OURS, IN_BATCHES, *SLEEPERS)):
        answer = looked_at(platform, token)
        assert answer.status_code == 400, (token, answer.text)
        assert "cannot be used" in answer.text
        page = requests.get(f"{platform.base_url}/models/{token}/", timeout=60).text
        assert not any(secret in text for secret in secrets for text in (answer.text, page))
        if token.startswith("reads-"):
            assert "other files" in answer.text, token
    assert ask(platform, OURS, RED).json()["predictions"][0]["label"] == "red"
    assert not any(secret in platform.log("web") + platform.log("worker") for secret in secrets)
    assert max(most_memory(platform.home).values()) < MOST_MEMORY


def test_models_that_wait_for_their_moment_stop_nobody(platform: PlatformProcess) -> None:
    for token in SLEEPERS:
        assert looked_at(platform, token).status_code == 200, "it passed the check"
    over = threading.Event()
    slowest = {"live": 0.0, "honest": 0.0}

    def timed(name: str, call: Callable[[], requests.Response]) -> None:
        while not over.is_set():
            began = time.monotonic()
            assert call().status_code == 200
            slowest[name] = max(slowest[name], time.monotonic() - began)

    watchers = ThreadPoolExecutor(2)
    live = watchers.submit(
        timed, "live", lambda: requests.get(f"{platform.base_url}/health/live/", timeout=60)
    )
    honest = watchers.submit(timed, "honest", lambda: ask(platform, OURS, RED))
    with ThreadPoolExecutor(10) as attackers:
        answers = list(attackers.map(lambda token: ask(platform, token), list(SLEEPERS) * 10))
    over.set()
    live.result(60)
    honest.result(60)
    assert {answer.status_code for answer in answers} <= {400, 429, 503}, [answer.text for answer in answers]
    assert slowest["live"] < 2
    assert slowest["honest"] < 5
    for token in SLEEPERS:  # whoever was let in before the last one was flagged
        wait_until(lambda token=token: "switched off" in ask(platform, token).text)
        assert ask(platform, token, explain="1").status_code == 400
    assert max(most_memory(platform.home).values()) < MOST_MEMORY


def test_batch_of_a_model_that_never_ends_fails_and_the_next_one_succeeds(platform: PlatformProcess) -> None:
    assert looked_at(platform, IN_BATCHES).status_code == 200
    assert "longer than 2 seconds" in ended(platform, IN_BATCHES, WHITE)["message"]
    assert ended(platform, IN_BATCHES, RED)["state"] == "succeeded"
    assert ended(platform, OURS, RED)["state"] == "succeeded"
    assert max(most_memory(platform.home).values()) < MOST_MEMORY


def ended(platform: PlatformProcess, token: str, image: bytes) -> dict[str, Any]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for number in range(3):
            zipped.writestr(f"{number}.png", image)
    sent = requests.post(
        f"{platform.base_url}/api/v1/models/{token}/batches/",
        files={"file": ("photos.zip", buffer.getvalue())},
        timeout=60,
    )
    assert sent.status_code == 202, sent.text

    def batch() -> dict[str, Any] | None:
        found = requests.get(sent.json()["url"], timeout=60).json()
        return found if found["state"] in ("succeeded", "failed") else None

    return wait_until(batch)


@pytest.mark.servers
def test_models_in_an_s3_bucket_are_run_in_a_sandbox_as_well(tmp_path: Path, backbones: Path) -> None:
    with servers.s3_server() as server:
        env = {**LIMITS, **server.env}
        with PlatformProcess(tmp_path / "home", worker=False, env=env, backbones=backbones) as platform:
            bucket = S3Bucket(server.env)
            bucket.bring({"reads": hostile.EXTERNAL_DATA["function"]("secret_key"), **SLEEPERS})
            platform.manage("reconcile")
            assert "other files" in ask(platform, "reads").text
            assert ask(platform, "sleeping-loop", RED).json()["predictions"][0]["label"] == "red"
            assert "longer than" in ask(platform, "sleeping-loop").text


class S3Bucket(Bucket):
    def __init__(self, env: dict[str, str]) -> None:
        import boto3

        self.name = env["S3_BUCKET"]
        self.client = boto3.client(
            "s3",
            endpoint_url=env["S3_ENDPOINT_URL"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            region_name=env.get("AWS_DEFAULT_REGION", "us-east-1"),
        )

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body
