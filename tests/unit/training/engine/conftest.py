"""Small real data sets, and backbones that are prepared once for all runs."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from training.engine.catalogue import default_architecture
from training.engine.process import WAIT_POLICY
from training.engine.request import TrainingRequest
from training.engine.specs.strategies import FROZEN, STRATEGIES

os.environ.setdefault(*WAIT_POLICY)  # as in workers; before any test loads torch

SAMPLES = Path(__file__).resolve().parents[4] / "samples"
DATA = {"imageclassification": SAMPLES / "digits.zip", "textclassification": SAMPLES / "banking.csv"}
FROZEN_PHASES = ("prepare", *STRATEGIES[FROZEN].phases, "export", "verify")

MakeRequest = Callable[..., TrainingRequest]


@pytest.fixture(scope="session")
def make_request(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeRequest:
    """Return requests for the samples, each with an output folder of its own."""

    def make(task_type: str, data: Path | None = None, **changes: object) -> TrainingRequest:
        path = data or DATA[task_type]
        values: dict[str, object] = {
            "public_id": f"{task_type}-sample-1",
            "name": "Sample",
            "task_type": task_type,
            "architecture": default_architecture(task_type),
            "strategy": "frozen",
            "dataset_path": str(path),
            "dataset_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "columns": {"input": "input", "label": "label"},
            "output_dir": str(tmp_path_factory.mktemp("output")),
            "cache_dir": str(cache_dir),
            "threads": 2,
        }
        return TrainingRequest(**{**values, **changes})  # type: ignore[arg-type]

    return make
