"""Training a project again: after ten labels were mended, and after sixty photos were added.

The platform is started as `make run` starts it. Seconds are those of a job from its acceptance on, by the server's
times. `relabelled_ratio` is the time of a training after the edit divided by that of the first one, medians of as many
projects as `TRAINYARD_BENCH_RUNS` says; `trained_ratio` leaves out what a job waits in the queue.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from benchmarks.labelled_data import DATA, Labelled, read_csv, read_zip, write_csv, write_zip
from benchmarks.time_to_live import wait_until_idle
from devtools.platform_process import WholePlatform

RUNS = int(os.environ.get("TRAINYARD_BENCH_RUNS", "3"))
RELABELLED, ADDED = 10, 60
POLL = 0.5  # seconds; what is measured are the server's times, of which each question takes some
PATIENCE = 300.0


def retrain() -> dict[str, Any]:
    """flowers12 (720 photos) and banking77 (10,003 sentences), each trained by *Fast* and then again."""
    photos = read_zip(DATA / "flowers12_train.zip")
    texts = read_csv(DATA / "banking77_train.csv")
    further = read_zip(DATA / "flowers12_test.zip")[:ADDED]
    figures: dict[str, Any] = {}
    sets: Sequence[tuple[str, str, str, bytes, Labelled]] = (
        ("flowers12", "imageclassification", "train.zip", write_zip(photos), further),
        ("banking77", "textclassification", "train.csv", write_csv(texts), []),
    )
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder,
        WholePlatform(Path(folder) / "home") as platform,
    ):
        client = _Client(platform)
        for name, task, filename, content, more in sets:
            runs = [client.measure(task, filename, content, more) for _ in range(RUNS)]
            figures |= {f"{name}_{key}": value for key, value in _medians(runs).items()}
    for name in ("flowers12", "banking77"):
        for figure in ("seconds", "trained"):
            first, again = figures[f"{name}_first_{figure}"], figures[f"{name}_relabelled_{figure}"]
            ratio = "ratio" if figure == "seconds" else "trained_ratio"
            figures[f"{name}_relabelled_{ratio}"] = round(again / first, 3)
    return figures


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}


class _Client:
    """A person's program, over REST."""

    def __init__(self, platform: WholePlatform) -> None:
        self._platform = platform
        self._address = f"{platform.base_url}/api/v1"
        self._session = requests.Session()
        token = platform.manage("api_token", "admin").stdout.split()[-1]
        self._session.headers["Authorization"] = f"Token {token}"

    def measure(self, task: str, filename: str, content: bytes, more: Labelled) -> dict[str, float]:
        """Train, mend labels, train again, add examples and train once more."""
        fields = {"name": "Benchmark", "task_type": task}
        data = self._ask("POST", "datasets", data=fields, files={"file": (filename, content)})
        job = self._ask("POST", "jobs", json={"dataset": data["id"], "name": "Benchmark", "preset": "fast"})
        first, project = self._finished(job)
        found = {f"first_{key}": value for key, value in first.items()}
        examples = self._ask("GET", f"projects/{project}/examples")["results"]
        classes = sorted({one["class_name"] for one in examples})
        for one in examples[:: len(examples) // RELABELLED][:RELABELLED]:
            other = classes[(classes.index(one["class_name"]) + 1) % len(classes)]
            edit = {"ids": [one["id"]], "class_name": other}
            self._ask("PATCH", f"projects/{project}/examples", json=edit)
        again, _ = self._finished(self._ask("POST", f"projects/{project}/train"))
        found |= {f"relabelled_{key}": value for key, value in again.items()}
        if more:
            archive = write_zip(more)
            self._ask("POST", f"projects/{project}/examples", files={"file": ("more.zip", archive)})
            added, _ = self._finished(self._ask("POST", f"projects/{project}/train"))
            found |= {f"added_{key}": value for key, value in added.items()}
        return found

    def _finished(self, job: dict[str, Any]) -> tuple[dict[str, float], str]:
        """Wait for a job and its findings; returns its seconds, with those of its phases, and its project."""
        deadline = time.monotonic() + PATIENCE
        while job["state"] not in ("succeeded", "failed", "cancelled") and time.monotonic() < deadline:
            time.sleep(POLL)
            job = self._ask("GET", f"jobs/{job['id']}")
        if job["state"] != "succeeded":
            raise RuntimeError(f"The job has {job['state']}: {job['error']}")
        wait_until_idle(self._platform)
        accepted, began, ended = (
            datetime.fromisoformat(job[name]).timestamp()
            for name in ("queued_at", "started_at", "finished_at")
        )
        phases = {
            f"{phase}_seconds": float(spent) for phase, spent in job["progress"]["phase_seconds"].items()
        }
        seconds = {"seconds": ended - accepted, "trained": ended - began, "accuracy": job["accuracy"]}
        return {**seconds, **phases}, job["project"]

    def _ask(self, method: str, where: str, **request: Any) -> Any:
        answer = self._session.request(method, f"{self._address}/{where}/", timeout=600, **request)
        answer.raise_for_status()
        return answer.json()
