"""*Fast* and *Accurate* with 2 to 20 examples a class, beside a linear probe and beside SetFit.

The probe is logistic regression on the same pretrained features whose regularisation is the best for the test,
which nobody can know: what could be had from them at all. SetFit (Tunstall et al., "Efficient Few-Shot Learning Without
Prompts", 2022) starts from the same MiniLM; it runs with the Python of `TRAINYARD_BENCH_SETFIT`, an environment in
which `setfit` is installed (benchmarks/requirements-setfit.txt), and is left out without it.

Every figure is the mean over draws of the examples; `TRAINYARD_BENCH_SEEDS` says how many, `TRAINYARD_BENCH_FIRST_SEED`
which is the first, `TRAINYARD_BENCH_EACH` with how many examples a class, `TRAINYARD_BENCH_SETS` which data.
"""

import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.labelled_data import CACHE, DATA, Labelled, read_csv, read_zip, write_csv, write_zip
from benchmarks.pretrained_features import image_features, text_features
from models_registry.artifacts import Predictor
from training.engine.request import TrainingRequest
from training.engine.training import train

EACH = tuple(int(each) for each in os.environ.get("TRAINYARD_BENCH_EACH", "2,5,10,20").split(","))
FIRST_SEED = int(os.environ.get("TRAINYARD_BENCH_FIRST_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("TRAINYARD_BENCH_SEEDS", "3")))
CHOSEN = os.environ.get("TRAINYARD_BENCH_SETS", "banking77,flowers12").split(",")
SETFIT = os.environ.get("TRAINYARD_BENCH_SETFIT", "")
STRENGTHS = tuple(10.0**power for power in range(-2, 6))  # scikit-learn's C: the larger, the weaker
STRATEGIES = {"fast": "frozen", "accurate": "finetune"}


@dataclass(frozen=True)
class _Set:
    """A data set: its rows, how they are written for an upload, and what trains on them."""

    task_type: str
    architecture: str
    suffix: str
    read: Callable[[str], Labelled]
    write: Callable[[Labelled], bytes]
    features: Callable[[Labelled], npt.NDArray[np.float32]]


SETS = {
    "banking77": _Set(
        "textclassification",
        "minilm",
        "csv",
        lambda part: read_csv(DATA / f"banking77_{part}.csv"),
        write_csv,
        text_features,
    ),
    "flowers12": _Set(
        "imageclassification",
        "efficientnet lite0",
        "zip",
        lambda part: read_zip(DATA / f"flowers12_{part}.zip"),
        write_zip,
        image_features,
    ),
}


def few_shot() -> dict[str, Any]:
    """Return for each set and number of examples the accuracies in percent, the seconds and the margins."""
    figures: dict[str, Any] = {}
    for name in CHOSEN:
        data = SETS[name]
        known, test = data.read("train"), data.read("test")
        features = data.features([*known, *test])
        for each in EACH:
            found: dict[str, list[float]] = defaultdict(list)
            for seed in SEEDS:
                rows = draw(known, each, seed)
                found["probe"].append(_probe(features, [*known, *test], rows, len(known)))
                for preset, strategy in STRATEGIES.items():
                    accuracy, seconds = _train(data, [known[row] for row in rows], test, strategy)
                    found[preset].append(accuracy)
                    found[f"{preset}_seconds"].append(seconds)
                if SETFIT and data.suffix == "csv":
                    accuracy, seconds = _setfit([known[row] for row in rows], test)
                    found["setfit"].append(accuracy)
                    found["setfit_seconds"].append(seconds)
                print(
                    name, each, seed, {key: round(values[-1], 2) for key, values in found.items()}, flush=True
                )
            for key, values in found.items():
                figures[f"{name}_{each}_{key}"] = round(float(np.mean(values)), 2)
    return figures | _margins(figures)


def _margins(figures: dict[str, Any]) -> dict[str, float]:
    """Return the worst row of each promise: *Fast* beside the probe, *Accurate* beside *Fast*."""
    rows = [f"{name}_{each}" for name in CHOSEN for each in EACH]
    found = {
        "worst_fast_minus_probe": min(figures[f"{row}_fast"] - figures[f"{row}_probe"] for row in rows),
        "worst_accurate_minus_fast": min(figures[f"{row}_accurate"] - figures[f"{row}_fast"] for row in rows),
    }
    with_setfit = [row for row in rows if f"{row}_setfit" in figures]
    if with_setfit:
        found["worst_fast_minus_setfit"] = min(
            figures[f"{row}_fast"] - figures[f"{row}_setfit"] for row in with_setfit
        )
        found["least_times_faster_than_setfit"] = min(
            figures[f"{row}_setfit_seconds"] / figures[f"{row}_fast_seconds"] for row in with_setfit
        )
    return {key: round(value, 2) for key, value in found.items()}


def draw(examples: Labelled, each: int, seed: int) -> list[int]:
    """Return the places of so many examples of each class."""
    generator = np.random.default_rng(seed)
    labels = np.array([label for _, label in examples])
    rows = [generator.permutation(np.flatnonzero(labels == label))[:each] for label in np.unique(labels)]
    return [int(row) for row in np.concatenate(rows)]


def _train(data: _Set, known: Labelled, test: Labelled, strategy: str) -> tuple[float, float]:
    """Return the test's accuracy of the .onnx that a job would publish, and the training's seconds."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder, f"train.{data.suffix}")
        path.write_bytes(data.write(known))
        request = TrainingRequest(
            public_id="benchmark",
            name="Benchmark",
            task_type=data.task_type,
            architecture=data.architecture,
            strategy=strategy,
            dataset_path=str(path),
            dataset_sha256="",
            columns={},
            output_dir=folder,
            cache_dir=str(CACHE),
        )
        began = time.monotonic()
        result = train(request, lambda _: None, should_stop=lambda: False)
        seconds = time.monotonic() - began
        predictor = Predictor.from_bytes(Path(folder, result.artifacts["onnx"]).read_bytes())
        found = predictor.predict([given for given, _ in test])
    right = [one.label == label for one, (_, label) in zip(found, test, strict=True)]
    return 100 * float(np.mean(right)), seconds


def _probe(features: npt.NDArray[np.float32], examples: Labelled, rows: list[int], known: int) -> float:
    """Return the best accuracy on the test of logistic regression with any strength."""
    from sklearn.linear_model import LogisticRegression

    labels = np.array([label for _, label in examples])
    centred = features - features[rows].mean(0)
    scaled = centred / np.sqrt((centred[rows] ** 2).sum(1).mean())
    scores = [
        LogisticRegression(C=strength, max_iter=500)
        .fit(scaled[rows], labels[rows])
        .score(scaled[known:], labels[known:])
        for strength in STRENGTHS
    ]
    return 100 * float(max(scores))


def _setfit(known: Labelled, test: Labelled) -> tuple[float, float]:
    """Return the test's accuracy of SetFit, and the seconds of its training, from a process of its own."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        for part, rows in (("train", known), ("test", test)):
            Path(folder, f"{part}.csv").write_bytes(write_csv(rows))
        script = Path(__file__).with_name("setfit_program.py")
        done = subprocess.run([SETFIT, script, folder], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return 100 * found["accuracy"], found["seconds"]
