"""A training as a job runs it, and what the file that the job would publish says of a test."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.labelled_data import CACHE, Labelled, write_csv, write_zip
from models_registry.artifacts import Predictor
from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION
from training.engine.catalogue import get_architecture
from training.engine.request import TrainingRequest
from training.engine.training import train


@dataclass(frozen=True)
class TestedModel:
    """What came of a training: which examples of the test its .onnx has right, its metrics, and its seconds."""

    right: list[bool]
    metrics: dict[str, Any]
    seconds: float

    @property
    def accuracy(self) -> float:
        """The share of the test that is right, in percent."""
        return 100 * float(np.mean(self.right))


def train_and_test(known: Labelled, test: Labelled, architecture: str, **wishes: Any) -> TestedModel:
    """Train on photos or texts, by *Fast* unless `wishes` name other fields of the request."""
    is_of_images = get_architecture(architecture).task_type == IMAGE_CLASSIFICATION
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder, "train.zip" if is_of_images else "train.csv")
        path.write_bytes(write_zip(known) if is_of_images else write_csv(known))
        values: dict[str, Any] = {
            "public_id": "benchmark",
            "name": "Benchmark",
            "task_type": get_architecture(architecture).task_type,
            "architecture": architecture,
            "strategy": "frozen",
            "dataset_path": str(path),
            "dataset_sha256": "",
            "columns": {},
            "output_dir": folder,
            "cache_dir": str(CACHE),
        }
        began = time.monotonic()
        result = train(TrainingRequest(**{**values, **wishes}), lambda _: None, should_stop=lambda: False)
        seconds = time.monotonic() - began
        predictor = Predictor.from_bytes(Path(folder, result.artifacts["onnx"]).read_bytes())
        answers = predictor.predict([given for given, _ in test])
    right = [answer.label == label for answer, (_, label) in zip(answers, test, strict=True)]
    return TestedModel(right, dict(result.metrics), seconds)
