"""From submit to live with a warm worker, and the accuracy on unseen data over the REST API.

Real data is taken from `../shared/data` (or the folder that TRAINYARD_BENCH_DATA names) when it is
there; otherwise the samples stand in, every fifth example held out for the test.
"""

import csv
import io
import os
import statistics
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import requests

from tests.platform_process import ROOT, PlatformProcess

DATA = Path(os.environ.get("TRAINYARD_BENCH_DATA", ROOT.parent / "shared" / "data"))
RUNS = int(os.environ.get("TRAINYARD_BENCH_RUNS", "3"))
HELD_OUT = 5
BATCH = 32

Labelled = list[tuple[bytes | str, str]]  # raw input and its true class


def image() -> dict[str, Any]:
    """flowers12: 720 photos in 12 classes; 240 more for the test."""
    if (DATA / "flowers12_train.zip").exists():
        train, test = read_zip(DATA / "flowers12_train.zip"), read_zip(DATA / "flowers12_test.zip")
    else:
        train, test = hold_out(read_zip(ROOT / "samples" / "digits.zip"))
    return _measure("imageclassification", "train.zip", write_zip(train), test)


def text() -> dict[str, Any]:
    """banking77: 10,003 sentences in 77 classes; 3,080 more for the test."""
    if (DATA / "banking77_train.csv").exists():
        train, test = read_csv(DATA / "banking77_train.csv"), read_csv(DATA / "banking77_test.csv")
    else:
        train, test = hold_out(read_csv(ROOT / "samples" / "banking.csv"))
    return _measure("textclassification", "train.csv", write_csv(train), test)


def _measure(task: str, filename: str, data: bytes, test: Labelled) -> dict[str, Any]:
    """Train several times on one warm worker; report the medians and the phases of the median run."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder) / filename
        path.write_bytes(data)
        with PlatformProcess(Path(folder) / "home") as platform:
            command = ["submit", "--task", task, "--data", str(path), "--name", "Benchmark", "--wait"]
            jobs = [platform.manage_json(*command) for _ in range(RUNS)]
            accuracy = accuracy_over_rest(platform.base_url, jobs[-1]["token"], test)
    jobs.sort(key=lambda job: job["seconds"])
    middle = jobs[len(jobs) // 2]
    return {
        "seconds": statistics.median(job["seconds"] for job in jobs),
        "test_accuracy": round(accuracy, 4),
        "validation_accuracy": round(middle["accuracy"] / 100, 4),
        "queued_seconds": middle["queued_seconds"],
        **{f"{phase}_seconds": seconds for phase, seconds in middle["phase_seconds"].items()},
        "runs": RUNS,
    }


def accuracy_over_rest(base_url: str, token: str, test: Labelled) -> float:
    """Return the fraction of the test examples that the REST API classifies right."""
    address, right = f"{base_url}/api/v1/models/{token}/predict/", 0
    with requests.Session() as session:
        for batch in in_batches(test):
            inputs = [given for given, _ in batch]
            if isinstance(inputs[0], bytes):
                answer = session.post(
                    address, files=[("file", ("photo", given)) for given in inputs], timeout=120
                )
            else:
                answer = session.post(address, json={"texts": inputs}, timeout=120)
            answer.raise_for_status()
            found = [prediction["label"] for prediction in answer.json()["predictions"]]
            right += sum(label == true for label, (_, true) in zip(found, batch, strict=True))
    return right / len(test)


def in_batches(examples: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a sequence into pieces of one call's size."""
    return (examples[start : start + BATCH] for start in range(0, len(examples), BATCH))


def hold_out(examples: Labelled) -> tuple[Labelled, Labelled]:
    """Split off every fifth example for the test."""
    test = examples[::HELD_OUT]
    return [example for index, example in enumerate(examples) if index % HELD_OUT], test


def read_zip(path: Path) -> Labelled:
    """Read a zip with a folder for each class."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in sorted(archive.namelist()) if not name.endswith("/")]
        return [(archive.read(name), PurePosixPath(name).parent.name) for name in names]


def write_zip(examples: Labelled) -> bytes:
    """Write a zip with a folder for each class."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (content, label) in enumerate(examples):
            archive.writestr(f"{label}/{number:05}.img", content)
    return buffer.getvalue()


def read_csv(path: Path) -> Labelled:
    """Read a table with the columns input and label."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["input"], row["label"]) for row in csv.DictReader(file)]


def write_csv(examples: Labelled) -> bytes:
    """Write a table with the columns input and label."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerows([("input", "label"), *examples])
    return buffer.getvalue().encode()
