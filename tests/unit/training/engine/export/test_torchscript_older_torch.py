"""The .pt files in the oldest torch that this Python has: 1.13.1, as Flash's lambdas would load them.

The packages (2 GB) are installed once, into a folder of the user's cache.
"""

import csv
import fcntl
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_registry.artifacts import Predictor
from training.engine.catalogue import get_architecture
from training.engine.export.parity import compare
from training.engine.request import TrainingResult
from training.engine.specs.hyperparameters import Hyperparameters
from training.engine.training import train

from ..conftest import DATA, SAMPLES, MakeRequest
from ..small_data import few_digits, few_sentences

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="torch 1.13.1 exists for Python 3.7 to 3.11"),
]

PACKAGES = ("torch==1.13.1", "numpy==1.26.4", "pillow<12")
CLIENT = Path(__file__).with_name("older_torch_client.py")
IMAGE, TEXT = "imageclassification", "textclassification"
QUICK = {"batch_size": 8, "epochs": 2}
# One network of each kind of file: poured into a template, frozen, traced anew.
NETWORKS: list[tuple[str, str, dict[str, Any]]] = [
    ("efficientnet lite0", "frozen", {}),
    ("efficientnet lite0", "finetune", QUICK),
    ("mobilenet v2", "scratch", QUICK),
    ("resnet18", "scratch", QUICK),
    ("minilm", "frozen", {}),
    ("minilm", "finetune", QUICK),
    ("lstm", "scratch", QUICK),
    ("gru", "scratch", QUICK),
]


@pytest.fixture(scope="module")
def older_python() -> Path:
    """Return a Python with torch 1.13.1; made when it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainyard"
    folder = cache / "torch-1.13.1"
    python, ready = folder / "bin" / "python", folder / "ready.json"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "torch-1.13.1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists() or json.loads(ready.read_text()) != list(PACKAGES):
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
            ready.write_text(json.dumps(PACKAGES))
    return python


def ask_older_torch(python: Path, folder: Path, calls: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return each call's probabilities; nothing of this Python's path reaches the other one."""
    asked, answered = folder / "calls.json", folder / "answers.npz"
    asked.write_text(json.dumps(calls))
    command = [python, "-I", CLIENT, asked, answered]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(answered) as arrays:
        found = dict(arrays)
    assert str(found.pop("version")).startswith("1.13.1")
    return found


def trained(
    make_request: MakeRequest, data: Path, name: str, strategy: str, more: Any
) -> tuple[Any, TrainingResult]:
    request = make_request(
        IMAGE if data.suffix == ".zip" else TEXT,
        data,
        architecture=name,
        strategy=strategy,
        hyperparameters=Hyperparameters(**more),
    )
    return request, train(request, lambda _: None, should_stop=lambda: False)


def raw_inputs(task_type: str) -> list[bytes | str]:
    if task_type == IMAGE:
        return [path.read_bytes() for path in sorted((SAMPLES / "digits_new").glob("*.png"))]
    with DATA[TEXT].open(newline="", encoding="utf-8") as file:
        return [row["input"] for row in csv.DictReader(file)][:40]


@pytest.mark.parametrize(("name", "strategy", "more"), NETWORKS, ids=lambda value: str(value)[:20])
def test_pt_answers_as_the_onnx_does(
    name: str,
    strategy: str,
    more: dict[str, Any],
    make_request: MakeRequest,
    older_python: Path,
    tmp_path: Path,
) -> None:
    is_text = name in ("minilm", "lstm", "gru")
    data = few_sentences(tmp_path / "s.csv") if is_text else few_digits(tmp_path / "d.zip")
    request, result = trained(make_request, data, name, strategy, more)
    predictor = Predictor.from_bytes(
        Path(request.output_dir, result.artifacts["onnx"]).read_bytes(), threads=2
    )
    raw = raw_inputs(request.task_type)
    calls, places = [], []
    for number, (indices, feeds) in enumerate(predictor.batches(raw)):
        inputs = tmp_path / f"{number}.npz"
        np.savez(inputs, **feeds)
        network = str(Path(request.output_dir, result.artifacts["torchscript"]))
        calls.append({"name": str(number), "network": network, "inputs": str(inputs), "order": list(feeds)})
        places.append(indices)
    answers = ask_older_torch(older_python, tmp_path, calls)
    older = np.empty((len(raw), len(result.classes)), np.float32)
    for number, indices in enumerate(places):
        older[indices] = answers[str(number)]
    parity = compare(predictor.probabilities(raw), older)
    assert parity.holds, parity


@pytest.mark.parametrize("name", ["efficientnet lite0", "efficientnet lite1", "efficientnet lite2"])
def test_flashs_infer_gives_the_right_class(
    name: str, make_request: MakeRequest, older_python: Path, tmp_path: Path
) -> None:
    """Digits prepared as Flash prepares them, which cuts off more than the model's description says."""
    if reason := get_architecture(name).unavailable_because("frozen"):
        pytest.skip(reason)
    request, result = trained(make_request, DATA[IMAGE], name, "frozen", {})
    images = some_digits(tmp_path)
    call = {
        "name": "infer",
        "network": str(Path(request.output_dir, result.artifacts["torchscript"])),
        "images": [str(path) for path, _ in images],
    }
    probabilities = ask_older_torch(older_python, tmp_path, [call])["infer"]
    found = [result.classes[index] for index in probabilities.argmax(1)]
    served = Predictor.from_bytes(Path(request.output_dir, result.artifacts["onnx"]).read_bytes(), threads=2)
    expected = [one.label for one in served.predict([path.read_bytes() for path, _ in images])]
    right = np.mean([label == truth for label, (_, truth) in zip(found, images, strict=True)])
    alike = np.mean([one == other for one, other in zip(found, expected, strict=True)])
    assert right > 0.9
    assert alike > 0.9


def some_digits(folder: Path) -> list[tuple[Path, str]]:
    """Unpack every third image of the sample; each with its class."""
    with zipfile.ZipFile(DATA[IMAGE]) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")][::3]
        return [(Path(archive.extract(name, folder)), name.split("/")[0]) for name in names]
