"""How fast a model is served: beside the bound of this machine, and beside LitServe on the same file.

All answer the same photo to the same clients, in turn. Trainyard runs a process for each core, as it does by
itself where it has a cache to share. LitServe runs twice: as it comes (one worker, ONNX Runtime's own choice of
threads), and tuned by hand for this machine (a worker a core, a thread each), where it runs the same code on the
same cores and only its overhead can differ. The clients send bytes that were put together before over connections
that stay open, so that what they take of the same cores is little, and the same for all. The bound is what the cores
could do if they did nothing but decode, preprocess and run. On a machine that others use as well, wall-clock figures
say more about the others: `cpu_ratio` (of the bound's CPU time to all that a request costs, its client included)
and `ratio_of_free_cores` do not.
"""

import contextlib
import http.client
import io
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from benchmarks.ingest import draw, group_of, memory
from devtools.platform_process import ROOT, PlatformProcess
from devtools.servers import free_port
from models_registry.artifacts import Predictor
from models_registry.artifacts.eight_bits import eight_bits_pay

CLIENTS = 8
ROUNDS = 5
SECONDS = 6.0  # of a round, for each server
PHOTO_BYTES = 70_000
BOUND_RUNS = 40  # on each core
MODELS = 200
MODELS_CACHE = 512 * 2**20  # bytes, while many models are asked in turn
LITSERVE = ROOT / "benchmarks" / "litserve_server.py"
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
BOUNDARY = "trainyard-benchmark"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
UNLIMITED = {"THROTTLE_RATES": "predict-token=none,predict-address=none"}
CORES = len(os.sched_getaffinity(0))
A_PROCESS_A_CORE = {"WEB_CONCURRENCY": str(CORES)}
TICKS = os.sysconf("SC_CLK_TCK")


def serving() -> dict[str, Any]:
    """Return requests a second, their latency, and how both stand to the bound and to LitServe."""
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-serving-") as folder,
        PlatformProcess(Path(folder) / "home", env=UNLIMITED | A_PROCESS_A_CORE) as platform,
    ):
        token = train(platform)
        platform.stop_worker()
        onnx, photo = model_file(platform, token), photo_of(PHOTO_BYTES)
        assert platform.web is not None
        ours = Server(platform.port, f"/api/v1/models/{token}/predict/", group_of(platform.web.pid))
        with litserve(Path(folder), onnx) as plain, litserve(Path(folder), onnx, CORES, 1) as tuned:
            rounds = [measure(ours, plain, tuned, onnx, photo) for _ in range(ROUNDS)]
        platform.stop_web()
        many = many_models(platform, token, photo)
        return {**summary(rounds), "photo_bytes": len(photo), "cores": CORES, **many}


@dataclass(frozen=True)
class Server:
    """Where a server answers predictions, and its processes."""

    port: int
    path: str
    pids: list[int]

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have used so far; proc_pid_stat(5)."""
        ticks = 0
        for pid in self.pids:
            values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(values[11]) + int(values[12])
        return ticks / TICKS


@dataclass
class Load:
    """What clients saw in one round: latencies in seconds, and CPU seconds of both sides."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    others_cpu: float = 0.0

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Return a latency in milliseconds."""
        return float(np.quantile(self.latencies, share)) * 1000


@dataclass(frozen=True)
class Round:
    """One turn of everything: CPU seconds of the bare work, and the servers under load."""

    bound_cpu: float
    ours: Load
    plain: Load
    tuned: Load


def measure(ours: Server, plain: Server, tuned: Server, onnx: Path, photo: bytes) -> Round:
    """Measure the bound and the servers one after the other."""
    loads = [put_under_load(server, photo) for server in (ours, plain, tuned)]
    return Round(bare_cpu_seconds(onnx, photo), *loads)


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Return medians over the rounds, ratios of figures of the same round."""

    def median(of: Any) -> float:
        return statistics.median(of(one) for one in rounds)

    return {
        "requests_per_second": round(median(lambda one: one.ours.per_second), 1),
        "p50_ms": round(median(lambda one: one.ours.quantile(0.5)), 1),
        "p99_ms": round(median(lambda one: one.ours.quantile(0.99)), 1),
        "bound_rps": round(median(lambda one: CORES / one.bound_cpu), 1),
        "ratio": round(median(lambda one: one.ours.per_second * one.bound_cpu / CORES), 3),
        "litserve_rps": round(median(lambda one: one.plain.per_second), 1),
        "litserve_p99_ms": round(median(lambda one: one.plain.quantile(0.99)), 1),
        "litserve_ratio": round(median(lambda one: one.ours.per_second / one.plain.per_second), 3),
        "litserve_tuned_rps": round(median(lambda one: one.tuned.per_second), 1),
        "litserve_tuned_ratio": round(median(lambda one: one.ours.per_second / one.tuned.per_second), 3),
        "cpu_ratio": round(median(lambda one: one.bound_cpu / cpu_of_a_request(one.ours)), 3),
        "litserve_cpu_ratio": round(median(lambda one: one.bound_cpu / cpu_of_a_request(one.plain)), 3),
        "litserve_tuned_cpu_ratio": round(median(lambda one: one.bound_cpu / cpu_of_a_request(one.tuned)), 3),
        "ratio_of_free_cores": round(median(lambda one: _share_of_free(one.ours, one.bound_cpu)), 3),
        "cores_used_by_others": round(median(lambda one: one.ours.others_cpu / one.ours.seconds), 2),
        "bound_cpu_ms": round(median(lambda one: one.bound_cpu) * 1000, 2),
        "cpu_ms": round(median(lambda one: cpu_of_a_request(one.ours)) * 1000, 2),
    }


def cpu_of_a_request(load: Load) -> float:
    """Return all CPU seconds that one request took, those of its client included."""
    return (load.server_cpu + load.client_cpu) / len(load.latencies)


def _share_of_free(load: Load, bound_cpu: float) -> float:
    free = CORES - load.others_cpu / load.seconds
    return load.per_second * bound_cpu / max(free, 0.1)


def bare_cpu_seconds(onnx: Path, photo: bytes) -> float:
    """Return the CPU seconds of decoding, preprocessing and running one photo, and nothing else.

    All cores do so at once, as they would have to: they share what they read the weights through. It is the mean: what
    a machine can do in a second depends on it, and runs that something disturbs are a server's as well.
    """
    predictor = Predictor.from_bytes(onnx.read_bytes(), threads=1)
    predictor.probabilities([photo])
    spent: list[float] = []

    def work() -> None:
        for _ in range(BOUND_RUNS):
            began = time.thread_time()
            predictor.probabilities([photo])
            spent.append(time.thread_time() - began)

    threads = [threading.Thread(target=work) for _ in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.mean(spent)


def put_under_load(server: Server, photo: bytes, *, seconds: float = SECONDS) -> Load:
    """Let the clients send the photo without a pause for some seconds; the first answers do not count."""
    load, over = Load(), threading.Event()
    request = predict_request(server, photo)

    def client() -> None:
        try:
            with Connection(server.port) as connection:
                connection.ask(request)
                warm.wait()
                while not over.is_set():
                    began = time.perf_counter()
                    connection.ask(request)
                    load.latencies.append(time.perf_counter() - began)
        except BaseException:
            over.set()
            warm.abort()
            raise

    warm = threading.Barrier(CLIENTS + 1)
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    warm.wait()
    wall, busy, own, servers = time.monotonic(), machine_busy(), time.process_time(), server.cpu_seconds()
    over.wait(seconds)
    over.set()
    for thread in clients:
        thread.join()
    load.seconds = time.monotonic() - wall
    load.server_cpu, load.client_cpu = server.cpu_seconds() - servers, time.process_time() - own
    load.others_cpu = max(0.0, machine_busy() - busy - load.server_cpu - load.client_cpu)
    return load


class Connection:
    """A client that does next to nothing: it runs on the cores of the server that it measures.

    It sends a request that was put together before, and reads an answer with a Content-Length.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> bytes:
        """Send a request and return the answer's body; raises for any status but 200."""
        self._socket.sendall(request)
        head, found, body = b"", b"", b""
        while not found:
            head += self._receive()
            head, found, body = head.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        while length and len(body) < int(length[1]):
            body += self._receive()
        if not length or not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{head!r}: {body[:300]!r}")
        return body

    def _receive(self) -> bytes:
        received = self._socket.recv(2**16)
        if not received:
            raise ConnectionError("The server has closed the connection.")
        return received


def predict_request(server: Server, photo: bytes) -> bytes:
    """Return the bytes of a request to predict: a form with one file."""
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
    body = f"{start}Content-Type: image/jpeg\r\n\r\n".encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {server.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def machine_busy() -> float:
    """Return the CPU seconds that this machine's cores have worked since it started; proc_stat(5)."""
    values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, interrupts, soft_interrupts, stolen = values
    return (user + nice + system + interrupts + soft_interrupts + stolen) / TICKS


def photo_of(size: int) -> bytes:
    """Return a JPEG of 640 × 480 pixels of about `size` bytes."""
    picture = Image.open(io.BytesIO(draw(0)))
    contents = []
    for quality in range(50, 96):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        contents.append(buffer.getvalue())
    return min(contents, key=lambda content: abs(len(content) - size))


def train(platform: PlatformProcess, data: Path = ROOT / "samples" / "digits.zip") -> str:
    """Make a model of images as a user does, and return its token."""
    job = platform.manage_json(
        *("submit", "--task", "imageclassification", "--data", str(data)),
        *("--name", "Benchmark", "--wait"),
    )
    return str(job["token"])


def model_file(platform: PlatformProcess, token: str) -> Path:
    """Return where the .onnx lies that the platform answers with."""
    files = [*(platform.home / "bucket").glob(f"imageclassification/{token}/*/*.onnx")]
    smaller = platform.env.get("PREDICT_IN_EIGHT_BITS") == "true" and eight_bits_pay(
        platform.home / "backbones"
    )
    return next(file for file in files if file.name.endswith(".int8.onnx") == smaller)


@contextlib.contextmanager
def litserve(folder: Path, onnx: Path, workers: int = 1, threads: int = 0) -> Iterator[Server]:
    """Serve the file with LitServe from a virtual environment of its own."""
    python, port = _environment(), free_port()
    output = folder / f"litserve-{port}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [str(python), str(LITSERVE), str(onnx), str(port), str(workers), str(threads)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(port, process, output)
        yield Server(port, "/predict", group_of(process.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _environment() -> Path:
    """Return the Python that has LitServe; the first call installs it."""
    folder = Path(os.environ.get("BENCHMARK_VENV", ROOT / ".venv-benchmarks"))
    python, ready = folder / "bin" / "python", folder / REQUIREMENTS.name
    wanted = REQUIREMENTS.read_text()
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], check=True)
        ready.write_text(wanted)
    return python


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"LitServe did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)


def many_models(platform: PlatformProcess, token: str, photo: bytes) -> dict[str, Any]:
    """Ask many models in turn, from all clients at once; return failures and the memory it took."""
    copies = platform.manage(
        "shell", "--no-imports", "-c", f"from benchmarks.serving import copy_model; copy_model({token!r})"
    )
    tokens = json.loads(copies.stdout.splitlines()[-1])
    platform.env["PREDICTOR_CACHE_BYTES"] = str(MODELS_CACHE)
    platform.start_web()
    assert platform.web is not None
    pids, failures = group_of(platform.web.pid), []

    def request(one: str) -> bytes:
        return predict_request(Server(platform.port, f"/api/v1/models/{one}/predict/", pids), photo)

    for _ in range(2 * CLIENTS):  # every process loads the runtime itself, which is no model's memory
        with Connection(platform.port) as connection:
            connection.ask(request(tokens[0]))
    before, began = sum(memory(pid, "VmRSS") for pid in pids), time.monotonic()

    def client(number: int) -> None:
        for one in tokens[number::CLIENTS] + tokens[:4]:  # the last ones are everybody's at once
            try:
                with Connection(platform.port) as connection:
                    connection.ask(request(one))
            except (OSError, RuntimeError) as error:
                failures.append(repr(error))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    most = sum(memory(pid, "VmHWM") for pid in pids)
    if failures:
        print(*failures[:5], sep="\n")
    return {
        "models": len(tokens),
        "models_failed": len(failures),
        "models_per_second": round((len(tokens) + 4 * CLIENTS) / (time.monotonic() - began), 1),
        "models_memory_mb": round((most - before) / 2**20),
        "models_cache_mb": MODELS_CACHE // 2**20 * (len(pids) - 1),
    }


def copy_model(token: str) -> None:
    """Publish a model again and again under other tokens, each with a file of its own; print the tokens."""
    import hashlib
    from io import BytesIO

    import onnx

    from bucket.factory import get_bucket
    from models_registry.models import Artifact, RegisteredModel

    model = RegisteredModel.objects.get(token=token)
    artifact = model.artifacts.get(kind=Artifact.Kind.ONNX)
    with get_bucket().open(artifact.key) as file:
        network = onnx.load_model_from_string(file.read())
    tokens = []
    for number in range(MODELS):
        network.doc_string = f"copy {number}"
        content = network.SerializeToString()
        model.pk, model.token, model.public_id = None, f"{token}-{number}", uuid.uuid4()
        model.version += 1
        model.save()
        key = f"{model.task_type}/{model.token}/1/{model.token}.onnx"
        get_bucket().save(key, BytesIO(content))
        digest = hashlib.sha256(content).hexdigest()
        Artifact.objects.create(model=model, kind="onnx", key=key, size=len(content), sha256=digest)
        tokens.append(model.token)
    print(json.dumps(tokens))
