"""From submit to live with a warm worker, and the accuracy on unseen data over the REST API.

The platform is started as `make run` starts it. `seconds` is what a job takes that a shell has submitted, from its
acceptance on; `submitted_seconds` what a program waits that sends the same job over REST, from its call on.

Real data is taken from `../shared/data` (or the folder that TRAINYARD_BENCH_DATA names) when it is
there; otherwise the samples stand in, every fifth example held out for the test.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from benchmarks.labelled_data import CACHE, DATA, Labelled, hold_out, read_csv, read_zip, write_csv, write_zip
from devtools.platform_process import ROOT, WholePlatform

RUNS = int(os.environ.get("TRAINYARD_BENCH_RUNS", "3"))
IDLE_WITHIN = 300.0  # seconds
POLL = 0.2  # seconds; what is measured are the server's times
BATCH = 32


def image() -> dict[str, Any]:
    """flowers12: 720 photos in 12 classes; 240 more for the test. *Fast* and *Accurate* beside fine-tuning."""
    if (DATA / "flowers12_train.zip").exists():
        train, test = read_zip(DATA / "flowers12_train.zip"), read_zip(DATA / "flowers12_test.zip")
    else:
        train, test = hold_out(read_zip(ROOT / "samples" / "digits.zip"))
    from benchmarks.finetune import image as compare_with_finetuning

    figures = _measure("imageclassification", "train.zip", write_zip(train), test)
    figures |= compare_with_finetuning()
    figures["accurate_speedup"] = figures["speedup"]
    figures["speedup"] = round(figures["finetune_seconds"] / figures["seconds"], 2)
    return figures


def text() -> dict[str, Any]:
    """banking77: 10,003 sentences in 77 classes; 3,080 more for the test. Beside what the embedding alone takes."""
    if (DATA / "banking77_train.csv").exists():
        train, test = read_csv(DATA / "banking77_train.csv"), read_csv(DATA / "banking77_test.csv")
    else:
        train, test = hold_out(read_csv(ROOT / "samples" / "banking.csv"))
    figures = _measure("textclassification", "train.csv", write_csv(train), test)
    figures["embedding_seconds"] = round(_embedding_seconds([str(given) for given, _ in train]), 1)
    figures["ratio"] = round(figures["seconds"] / figures["embedding_seconds"], 2)
    figures["tfidf_accuracy"] = round(_tfidf_accuracy(train, test), 4)
    return figures


def _measure(task: str, filename: str, data: bytes, test: Labelled) -> dict[str, Any]:
    """Train several times on one warm worker; report the medians and the phases of the median run."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder) / filename
        path.write_bytes(data)
        with WholePlatform(Path(folder) / "home") as platform:
            command = ["submit", "--task", task, "--data", str(path), "--name", "Benchmark", "--wait"]
            jobs = []
            for _ in range(RUNS):
                jobs.append(platform.manage_json(*command))
                wait_until_idle(platform)
            over_rest = _submit_over_rest(platform, task, path)
            accuracy = accuracy_over_rest(platform.base_url, jobs[-1]["token"], test)
    jobs.sort(key=lambda job: job["seconds"])
    middle = jobs[len(jobs) // 2]
    return {
        "seconds": statistics.median(job["seconds"] for job in jobs),
        **over_rest,
        "test_accuracy": round(accuracy, 4),
        "validation_accuracy": round(middle["accuracy"] / 100, 4),
        "queued_seconds": middle["queued_seconds"],
        **{f"{phase}_seconds": seconds for phase, seconds in middle["phase_seconds"].items()},
        "runs": RUNS,
    }


def wait_until_idle(platform: WholePlatform, *, within: float = IDLE_WITHIN) -> None:
    """Wait for what the worker does when a model is live: the next job would wait for it in the queue."""
    deadline = time.monotonic() + within
    while any((platform.home / "jobs").glob("*")):
        if time.monotonic() > deadline:
            raise RuntimeError("The worker does not come to an end with a job.")
        time.sleep(POLL)


def _submit_over_rest(platform: WholePlatform, task: str, path: Path) -> dict[str, float]:
    """Send as many jobs over REST; returns medians of what passed from each call until its model was live."""
    address, until_live, until_claimed = f"{platform.base_url}/api/v1", [], []
    with requests.Session() as session:
        token = platform.manage("api_token", "admin").stdout.split()[-1]
        session.headers["Authorization"] = f"Token {token}"

        def answer(method: str, where: str, **request: Any) -> Any:
            found = session.request(method, f"{address}/{where}/", timeout=600, **request)
            found.raise_for_status()
            return found.json()

        with path.open("rb") as file:
            data_set = {"name": "Benchmark", "task_type": task}
            wish = {"dataset": answer("POST", "datasets", data=data_set, files={"file": file})["id"]}
        for _ in range(RUNS):
            sent = time.time()
            job = answer("POST", "jobs", json={**wish, "name": "Benchmark", "preset": "fast"})
            while job["state"] not in ("succeeded", "failed", "cancelled"):
                time.sleep(POLL)
                job = answer("GET", f"jobs/{job['id']}")
            if job["state"] != "succeeded":
                raise RuntimeError(f"The job has {job['state']}: {job['error']}")
            until_live.append(datetime.fromisoformat(job["finished_at"]).timestamp() - sent)
            until_claimed.append(datetime.fromisoformat(job["started_at"]).timestamp() - sent)
            wait_until_idle(platform)
    return {
        "submitted_seconds": round(statistics.median(until_live), 2),
        "submitted_to_claimed_seconds": round(statistics.median(until_claimed), 2),
    }


def _embedding_seconds(texts: list[str]) -> float:
    """Return what the network alone takes for all texts, as a job runs it; the median of as many runs."""
    import numpy as np

    from training.engine.catalogue import get_architecture
    from training.engine.data.manifest import Manifest
    from training.engine.events import Progress
    from training.engine.examples import Examples
    from training.engine.loop.checkpoints import Checkpoints
    from training.engine.networks.backbones import get_backbone
    from training.engine.request import TrainingRequest
    from training.engine.strategies.feature_cache import FeatureCache
    from training.engine.strategies.features import Wanted, extract

    names = tuple(texts)
    manifest = Manifest.of_upload("", names, names, names, names)
    numbers, read = tuple(range(len(names))), names.__getitem__
    labels = np.zeros(len(names), np.int64)
    examples = Examples(names, labels, ("any",), names, read, manifest, numbers, read)
    backbone, seconds = get_backbone(get_architecture("minilm"), CACHE), []
    progress = Progress(lambda _: None, lambda: False)
    request = TrainingRequest("t", "n", "", "", "", "", "", {}, "", "")
    nothing_kept, nothing_known = Checkpoints(request, progress), FeatureCache(request, writes=False)
    for _ in range(RUNS):
        began = time.monotonic()
        threads = len(os.sched_getaffinity(0))
        extract(
            backbone,
            examples,
            Wanted(Path()),
            threads=threads,
            progress=progress,
            checkpoints=nothing_kept,
            cache=nothing_known,
        )
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def _tfidf_accuracy(train: Labelled, test: Labelled) -> float:
    """Return what words and pairs of words reach with a linear classifier, the usual first try."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    classifier = make_pipeline(words, LogisticRegression(C=10, max_iter=500))
    classifier.fit(*zip(*train, strict=True))
    inputs, labels = zip(*test, strict=True)
    return float(classifier.score(inputs, labels))


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
