"""Whether the accuracy that is shown holds for new objects where each object was photographed several times.

The set is made of real photos of flowers: each photo is an object, of which there are several exposures (gain, gamma,
white balance, noise, compression). A split that draws each exposure on its own has every object on both sides. The
model is trained by *Fast*, and its published file is then asked about objects of which it has seen no exposure.

`few` has so few objects that they are cross-validated, `more` has one validation part. Each seed draws other objects
and exposures; `TRAINYARD_BENCH_SEEDS` says how many.
"""

import io
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.labelled_data import DATA, Labelled, read_zip
from benchmarks.trained_model import train_and_test

SEEDS = int(os.environ.get("TRAINYARD_BENCH_SEEDS", "3"))


@dataclass(frozen=True)
class ObjectSet:
    """How many classes, objects of each class, and exposures of each object there are."""

    classes: int
    objects: int
    exposures: int


SETS = {"few": ObjectSet(12, 8, 6), "more": ObjectSet(6, 40, 4)}


def honest() -> dict[str, Any]:
    """Return of each set the accuracies in percent, means over seeds, and how often the interval held."""
    known, held_out = read_zip(DATA / "flowers12_train.zip"), read_zip(DATA / "flowers12_test.zip")
    figures: dict[str, Any] = {}
    for name, wanted in SETS.items():
        found: dict[str, list[float]] = defaultdict(list)
        for seed in range(SEEDS):
            learnt = photograph(known, wanted, seed)
            test = photograph(held_out, ObjectSet(wanted.classes, len(held_out), 1), SEEDS + seed)
            for key, value in _measure(learnt, test, seed).items():
                found[key].append(value)
            print(name, seed, {key: round(values[-1], 2) for key, values in found.items()}, flush=True)
        held = sum(map(_holds, found["low"], found["new_objects"], found["high"]))
        figures |= {f"{name}_{key}": round(float(np.mean(values)), 2) for key, values in found.items()}
        figures[f"{name}_interval_held"] = f"{held} of {SEEDS}"
    return figures


def _holds(low: float, value: float, high: float) -> bool:
    return low <= value <= high


def photograph(photos: Labelled, wanted: ObjectSet, seed: int) -> Labelled:
    """Return exposures of some photos of each of the first classes."""
    generator = np.random.default_rng(seed)
    by_class: dict[str, list[bytes]] = defaultdict(list)
    for content, label in photos:
        assert isinstance(content, bytes)
        by_class[label].append(content)
    return [
        (_expose(by_class[label][place], generator), label)
        for label in sorted(by_class)[: wanted.classes]
        for place in generator.permutation(len(by_class[label]))[: wanted.objects]
        for _ in range(wanted.exposures)
    ]


def _expose(content: bytes, generator: np.random.Generator) -> bytes:
    """Return a photo as another exposure would have it."""
    with Image.open(io.BytesIO(content)) as image:
        values = np.asarray(image.convert("RGB"), np.float64) / 255
    gain, gamma = np.exp(generator.uniform(-1, 0.5)), np.exp(generator.uniform(-0.4, 0.4))
    balance = generator.uniform(0.9, 1.1, 3)
    noise = generator.normal(0, 0.015, values.shape)
    exposed = np.clip(gain * balance * values**gamma + noise, 0, 1)
    buffer = io.BytesIO()
    quality = int(generator.integers(60, 96))
    Image.fromarray((255 * exposed).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _measure(learnt: Labelled, test: Labelled, seed: int) -> dict[str, float]:
    """Train, and return what is shown, what a naive split would have claimed, and what new objects say; percent."""
    tested = train_and_test(learnt, test, "efficientnet lite0", seed=seed)
    metrics = tested.metrics
    return {
        "shown": 100 * metrics["accuracy"],
        "low": 100 * metrics["accuracy_low"],
        "high": 100 * metrics["accuracy_high"],
        "new_objects": tested.accuracy,
        "naive": 100 * metrics.get("naive_accuracy", metrics["accuracy"]),
        "near_copies": 100 * metrics["near_copies"] / metrics["examples"],
    }
