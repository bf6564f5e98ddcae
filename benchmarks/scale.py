"""What ten times as many examples cost: seconds for each of them, and the memory of every process.

Photos are generated, sentences are those of banking77 with words added. Each size goes through a platform of its
own, started as `make run` starts it: uploaded over REST, checked, and trained by *Fast*. `TRAINYARD_BENCH_PHOTOS` and
`TRAINYARD_BENCH_TEXTS` name other sizes, "1000,10000", or none, "0". Memory is what is resident, looked at several
times a second: of the trainer that of its largest process, of web and worker what all their processes grew by.
"""

import csv
import io
import os
import random
import shutil
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import requests
from PIL import Image

from benchmarks.ingest import Multipart, memory
from benchmarks.labelled_data import DATA, read_csv
from benchmarks.time_to_live import wait_until_idle
from devtools.platform_process import WholePlatform, processes_of

PHOTOS = os.environ.get("TRAINYARD_BENCH_PHOTOS", "1000,10000,100000")
TEXTS = os.environ.get("TRAINYARD_BENCH_TEXTS", "10000,100000,1000000")
CLASSES = 12
SIDE = 256  # pixels
BYTES_OF_PHOTO, BYTES_OF_TEXT = 12_000, 110  # about; what a run writes is known before it begins
COPIES = 4  # of the data on the disk: the file, the bucket's, the worker's, and what is made of them
ADDED = 3  # words to a sentence
IDLE_WITHIN = 3600  # seconds: a million examples are looked at for minutes when their model is live
LOOK = 0.25  # seconds between two looks at the memory
POLL = 0.5
MEGABYTE = 10**6
ROLES = {"gunicorn": "web", "forkserver": "trainer", "manage.py worker": "worker"}

Figures = dict[str, Any]


def scale() -> Figures:
    """Train on each size of both kinds; the ratios are those of seconds per example to the next smaller size."""
    figures: Figures = {}
    figures |= _grow(
        "photos", "imageclassification", "data.zip", write_photos, _sizes(PHOTOS), BYTES_OF_PHOTO
    )
    figures |= _grow("texts", "textclassification", "data.csv", write_texts, _sizes(TEXTS), BYTES_OF_TEXT)
    return figures


def _sizes(words: str) -> list[int]:
    return sorted(int(word) for word in words.split(",") if int(word))


def _grow(
    kind: str,
    task: str,
    filename: str,
    write: Callable[[Path, int], None],
    sizes: Sequence[int],
    bytes_of_one: int,
) -> Figures:
    figures: Figures = {}
    before: float | None = None
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
            _check_disk(Path(folder), size * bytes_of_one * COPIES)
            path = Path(folder) / filename
            write(path, size)
            found = _run(Path(folder) / "home", task, path)
        each = found["trained_seconds"] / size
        figures |= {f"{kind}_{size}_{name}": value for name, value in found.items()}
        if before is not None:
            figures[f"{kind}_{size}_ratio"] = round(each / before, 3)
        before = each
        print({name: value for name, value in figures.items() if f"_{size}_" in name}, flush=True)
    return figures


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{needed / 1e9:.1f} GB of disk are needed in {folder.parent}, and {free / 1e9:.1f} are free."
        )


def write_photos(path: Path, count: int) -> None:
    """Write a zip of pictures that are all different; a class has its own colours, and not in every picture."""
    generator = np.random.default_rng(0)
    palettes = generator.integers(0, 256, (CLASSES, 3))
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            tiles = generator.integers(0, 256, (12, 12, 3))
            coloured = generator.random((12, 12, 1)) < 0.4
            tiles = np.where(
                coloured, palettes[number % CLASSES] + generator.integers(-40, 40, tiles.shape), tiles
            )
            small = Image.fromarray(np.clip(tiles, 0, 255).astype(np.uint8))
            buffer = io.BytesIO()
            small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
            archive.writestr(f"class {number % CLASSES}/{number:06}.jpg", buffer.getvalue())


def write_texts(path: Path, count: int) -> None:
    """Write a CSV of banking77's sentences, over and over, each with some words of other sentences.

    So have those of the first time: of any number, texts are equally long.
    """
    rows = read_csv(DATA / "banking77_train.csv")
    chosen = random.Random(0)  # noqa: S311 - the same file every time
    words = [word for text, _ in rows[::10] for word in str(text).split()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "label"))
        for number in range(count):
            text, label = rows[number % len(rows)]
            said = str(text).split()
            for _ in range(ADDED):
                said.insert(chosen.randrange(len(said) + 1), chosen.choice(words))
            writer.writerow((" ".join(said), label))


def _run(home: Path, task: str, path: Path) -> Figures:
    """Upload and train; returns seconds and megabytes."""
    with WholePlatform(home) as platform, requests.Session() as session:
        token = platform.manage("api_token", "admin").stdout.split()[-1]
        session.headers["Authorization"] = f"Token {token}"
        with _Memory(platform.home) as seen:
            began = time.monotonic()
            dataset = _upload(session, platform.base_url, task, path)
            checked = time.monotonic() - began
            job = _train(session, platform.base_url, dataset)
            wait_until_idle(platform, within=IDLE_WITHIN)
    spent = (datetime.fromisoformat(job[name]).timestamp() for name in ("started_at", "finished_at"))
    started, finished = spent
    return {
        "checked_seconds": round(checked, 1),
        "trained_seconds": round(finished - started, 1),
        "all_seconds": round(time.monotonic() - began, 1),
        "accuracy": job["accuracy"],
        **{f"{phase}_seconds": value for phase, value in job["progress"]["phase_seconds"].items()},
        **seen.figures(),
    }


def _upload(session: requests.Session, base_url: str, task: str, path: Path) -> str:
    """Upload a data set and wait until it is checked; returns its number."""
    form = Multipart(path, {"name": "Benchmark", "task_type": task})
    answer = session.post(
        f"{base_url}/api/v1/datasets/",
        data=form,
        headers={"Content-Type": Multipart.content_type},
        timeout=3600,
    )
    answer.raise_for_status()
    dataset = answer.json()
    while dataset["state"] == "validating":
        time.sleep(POLL)
        dataset = session.get(f"{base_url}/api/v1/datasets/{dataset['id']}/", timeout=60).json()
    if dataset["state"] != "ready":
        raise RuntimeError(f"The data set is {dataset['state']}: {dataset['report'].get('problems')}")
    return str(dataset["id"])


def _train(session: requests.Session, base_url: str, dataset: str) -> Figures:
    wish = {"dataset": dataset, "name": "Benchmark", "preset": "fast"}
    answer = session.post(f"{base_url}/api/v1/jobs/", json=wish, timeout=600)
    answer.raise_for_status()
    job: Figures = answer.json()
    while job["state"] not in ("succeeded", "failed", "cancelled"):
        time.sleep(POLL)
        job = session.get(f"{base_url}/api/v1/jobs/{job['id']}/", timeout=60).json()
    if job["state"] != "succeeded":
        raise RuntimeError(f"The job has {job['state']}: {job['error']}")
    return job


class _Memory:
    """Looks at the platform's processes from another thread."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._first: dict[str, int] = {}
        self._most: dict[str, int] = defaultdict(int)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._first = {role: sum(sizes) for role, sizes in self._sizes().items()}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def figures(self) -> Figures:
        """Return megabytes: the trainer's most, and by how much web and worker grew."""
        grown = {role: max(0, self._most[role] - self._first.get(role, 0)) for role in ("web", "worker")}
        return {
            "trainer_mb": round(self._most["trainer"] / MEGABYTE),
            **{f"{role}_grown_mb": round(size / MEGABYTE) for role, size in grown.items()},
        }

    def _look_on(self) -> None:
        while not self._over.wait(LOOK):
            for role, sizes in self._sizes().items():
                size = max(sizes) if role == "trainer" else sum(sizes)
                self._most[role] = max(self._most[role], size)

    def _sizes(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for pid, command in processes_of(self._home).items():
            role = next((role for word, role in ROLES.items() if word in command), "other")
            with suppress(OSError, StopIteration):
                found[role].append(memory(pid, "VmRSS"))
        return found
