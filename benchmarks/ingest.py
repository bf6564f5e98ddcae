"""A gigabyte of data through the platform: what each process grows by, and how long it takes.

The upload goes through the real web process, which checks every example and reports on them; the job's
training.json is then written by a fresh process, and taken in as somebody else's by another. A bare copy of the same
bytes on the same disk stands beside it.
"""

import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from devtools.platform_process import ROOT, PlatformProcess

BYTES = int(os.environ.get("TRAINYARD_BENCH_BYTES", str(10**9)))
AT_ONCE = {  # lets the web process look at all of it, as it does at what is small
    "VALIDATE_IN_WEB_BYTES": str(4 * BYTES),
    "VALIDATE_IN_WEB_FILES": "1000000",
    "VALIDATE_IN_WEB_SECONDS": "3600",
}
CLASSES = 10
PICTURES = 24  # that are drawn; the others are these with another comment inside
PIECE = 1 << 20
TOKEN = "textClassification-foreign-00000000"  # noqa: S105 - of a job, and nobody's secret
MEGABYTE = 10**6


@dataclass
class Grown:
    """By how many megabytes a process grew at most, and how long the work took."""

    rss_mb: float
    seconds: float


def image() -> dict[str, Any]:
    """One gigabyte of photos in a zip, the classes one after the other in turn."""
    return _measure("imageclassification", "data.zip", write_archive)


def text() -> dict[str, Any]:
    """One gigabyte of sentences in a CSV."""
    return _measure("textclassification", "data.csv", write_table)


def _measure(task: str, filename: str, write: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder) / filename
        write(path, BYTES)
        copied = bare_copy(path, Path(folder) / "copy")
        with PlatformProcess(Path(folder) / "home", env=AT_ONCE, worker=False) as platform:
            uploaded, examples = upload(platform, task, path)
            written = in_fresh_process(platform, "write")
            document = Path(platform.home) / "bucket" / "training" / "training.json"
            size = document.stat().st_size
            in_fresh_process(platform, "hand_over")
            taken = in_fresh_process(platform, "take")
    return {
        "rss_mb": uploaded.rss_mb,
        "seconds": uploaded.seconds,
        "bare_copy_seconds": copied,
        "document_rss_mb": written.rss_mb,
        "document_seconds": written.seconds,
        "taken_in_rss_mb": taken.rss_mb,
        "taken_in_seconds": taken.seconds,
        "examples": examples,
        "bytes": BYTES,
        "document_bytes": size,
    }


def write_archive(path: Path, size: int) -> None:
    """Write a zip of JPEGs that are all different and all real, of about 100 kB each."""
    pictures, number, written = [draw(seed) for seed in range(PICTURES)], 0, 0
    with zipfile.ZipFile(path, "w") as archive:
        while written < size:
            content = with_comment(pictures[number % PICTURES], number)
            archive.writestr(f"class {number % CLASSES}/{number:06}.jpg", content)
            written += len(content)
            number += 1


def draw(seed: int, size: tuple[int, int] = (640, 480)) -> bytes:
    """Return a JPEG: soft shapes with the grain of a photo."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (12, 16, 3), np.uint8))
    shapes = np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = generator.normal(0, 12, shapes.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(shapes + grain, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def with_comment(jpeg: bytes, number: int) -> bytes:
    """Return the picture with a comment (ITU T.81, B.2.4.5) behind its first marker, so that its digest is its own."""
    return jpeg[:2] + b"\xff\xfe" + (10).to_bytes(2, "big") + number.to_bytes(8, "big") + jpeg[2:]


def write_table(path: Path, size: int) -> None:
    """Write a CSV of sentences of about 600 characters."""
    words = [f"word{number}" for number in range(5000)]
    chosen = random.Random(0)  # noqa: S311 - the same file every time
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "label"))
        number = 0
        while file.tell() < size:
            for _ in range(1000):
                writer.writerow(
                    (f"{number}, {' '.join(chosen.choices(words, k=70))}", f"class {number % CLASSES}")
                )
                number += 1


def bare_copy(source: Path, target: Path) -> float:
    """Return the seconds that reading and writing the bytes takes, until they are on the disk."""
    began = time.monotonic()
    with source.open("rb") as read, target.open("wb") as written:
        while piece := read.read(PIECE):
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())
    seconds = time.monotonic() - began
    target.unlink()
    return round(seconds, 2)


def upload(platform: PlatformProcess, task: str, path: Path) -> tuple[Grown, int]:
    """Upload a data set and submit a job on it; returns what the web processes grew by, and the examples."""
    headers = {"Authorization": f"Token {api_token(platform)}"}
    assert platform.web is not None
    pids = group_of(platform.web.pid)
    before = sum(memory(pid, "VmRSS") for pid in pids)
    began = time.monotonic()
    answer = requests.post(
        f"{platform.base_url}/api/v1/datasets/",
        data=Multipart(path, {"name": "Benchmark", "task_type": task}),
        headers={**headers, "Content-Type": Multipart.content_type},
        timeout=1800,
    )
    seconds = time.monotonic() - began
    answer.raise_for_status()
    grown = sum(memory(pid, "VmHWM") for pid in pids) - before
    dataset = answer.json()
    job = requests.post(
        f"{platform.base_url}/api/v1/jobs/",
        json={"name": "Benchmark", "dataset": dataset["id"]},
        headers=headers,
        timeout=60,
    )
    job.raise_for_status()
    return Grown(round(grown / MEGABYTE, 1), round(seconds, 2)), dataset["examples"]


class Multipart:
    """A form with one file as a stream of known length, which requests would otherwise hold in memory."""

    boundary = "trainyard-benchmark"
    content_type = f"multipart/form-data; boundary={boundary}"

    def __init__(self, path: Path, fields: dict[str, str]) -> None:
        self.path = path
        heads = [self._head(f'name="{name}"') + f"{value}\r\n".encode() for name, value in fields.items()]
        self.head = b"".join(heads) + self._head(f'name="file"; filename="{path.name}"')
        self.tail = f"\r\n--{self.boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self.head) + self.path.stat().st_size + len(self.tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self.head
        with self.path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
        yield self.tail

    def _head(self, disposition: str) -> bytes:
        return f"--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()


def api_token(platform: PlatformProcess) -> str:
    """Return a token of a new user's."""
    script = (
        "from accounts.models import User; from knox.models import AuthToken; "
        "print(AuthToken.objects.create(User.objects.create_user('bench'))[1])"
    )
    return platform.manage("shell", "--no-imports", "-c", script).stdout.split()[-1]


def in_fresh_process(platform: PlatformProcess, work: str) -> Grown:
    """Do one piece of work in a process of its own and return what it says of itself."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", work],
        cwd=ROOT,
        env={**platform.django_env, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Grown(**json.loads(done.stdout.splitlines()[-1]))


def group_of(leader: int) -> list[int]:
    """Return the processes of a process group."""
    found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in found if os.getpgid(pid) == leader]


def memory(pid: int, name: str) -> int:
    """Return a process's VmRSS (now) or VmHWM (the most so far) in bytes; proc(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def write() -> None:
    """Start the queued job as a worker would, and publish its document."""
    from documents import keys
    from documents.publish import Outcome, publish
    from training.jobs.models import TrainingJob
    from work import transitions

    job = TrainingJob.objects.latest("pk")
    transitions.claim(job, worker="benchmark")
    if publish(keys.TRAINING, force=True) is Outcome.FAILED:
        raise RuntimeError("The document could not be written.")


def hand_over() -> None:
    """End the job, and put its document back as somebody else's, under another token."""
    from django.conf import settings

    from documents import keys
    from documents.publish import publish
    from training.jobs.models import TrainingJob
    from work import transitions

    ours = TrainingJob.objects.latest("pk")
    document = settings.BUCKET_FOLDER / keys.TRAINING
    kept = document.with_suffix(".kept")
    document.rename(kept)
    transitions.fail(ours, reason="only to end it")
    publish(keys.TRAINING, force=True)
    with kept.open("rb") as source, document.open("wb") as target:
        target.write(source.read(PIECE).replace(ours.token.encode(), TOKEN.encode(), 1))
        while piece := source.read(PIECE):
            target.write(piece)


def take() -> None:
    """Let the platform take in the document, and see that it became an equal data set."""
    from documents import keys
    from documents.publish import publish
    from training.jobs.models import TrainingJob

    publish(keys.TRAINING, force=True)
    taken = TrainingJob.objects.select_related("dataset").get(token=TOKEN)
    ours = TrainingJob.objects.select_related("dataset").exclude(token=TOKEN).get()
    if taken.dataset.report["classes"] != ours.dataset.report["classes"]:
        raise RuntimeError("What was taken in is not what was written.")


def main() -> None:
    """Do one of the above in a Django of its own, and print what it took."""
    import django

    django.setup()
    work = {"write": write, "hand_over": hand_over, "take": take}[sys.argv[1]]
    before, began = memory(os.getpid(), "VmRSS"), time.monotonic()
    work()
    seconds = time.monotonic() - began
    grown = (memory(os.getpid(), "VmHWM") - before) / MEGABYTE
    print(json.dumps({"rss_mb": round(grown, 1), "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
