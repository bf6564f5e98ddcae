"""A network that was fetched from a hub, shared through the bucket, trained on another machine, and predicted with."""

import hashlib
from pathlib import Path

import pytest

from devtools.hub_server import HubServer
from models_registry.artifacts import Predictor
from tests.hub_networks import ENCODER, RESNET
from training.engine.catalogue import as_described, get_architecture
from training.engine.events import TrainingError
from training.engine.request import TrainingRequest
from training.engine.training import train
from training.engine.weights_files import read_verified
from training.networks.services import add_network
from training.worker.pretrained import provide_network
from work.attempt import HopelessAttempt

from .conftest import fetched

pytestmark = pytest.mark.django_db(transaction=True)
SENTENCES = {"card": "where is my card number {}", "pay": "i want to pay bill {}"}


@pytest.fixture
def another_machine(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A worker's machine that has the bucket, and nothing of the hub."""
    for name in (f"hf/{ENCODER}", RESNET):
        fetched(add_network(name=name))
    monkeypatch.setenv("TRAINYARD_PRETRAINED", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "elsewhere"


def request(folder: Path, digests: dict[str, str]) -> TrainingRequest:
    data = folder / "sentences.csv"
    rows = [f"{text.format(number)},{label}" for number in range(20) for label, text in SENTENCES.items()]
    data.write_text("\n".join(["input,label", *rows]))
    (folder / "output").mkdir()
    return TrainingRequest(
        public_id="sample-1",
        name="Sample",
        task_type="textclassification",
        architecture=f"hf/{ENCODER}",
        strategy="frozen",
        dataset_path=str(data),
        dataset_sha256=hashlib.sha256(data.read_bytes()).hexdigest(),
        columns={"input": "input", "label": "label"},
        output_dir=str(folder / "output"),
        cache_dir=str(folder / "backbones"),
        threads=2,
        digests=digests,
    )


def test_fetched_encoder_is_trained_through_to_a_prediction(another_machine: Path, tmp_path: Path) -> None:
    digests = provide_network(f"hf/{ENCODER}", lambda: None)
    asked = request(tmp_path, digests)
    result = train(asked, lambda _: None, should_stop=lambda: False)
    assert result.metrics["accuracy"] == 1.0
    onnx = Path(asked.output_dir, result.artifacts["onnx"]).read_bytes()
    [found] = Predictor.from_bytes(onnx).predict(["where is my card number 77"])
    assert found.label == "card"


def test_catalogue_builds_the_resnet_of_the_pinned_file(another_machine: Path) -> None:
    digests = provide_network("resnet18", lambda: None)
    pinned = get_architecture("resnet18").pinned(digests)
    assert hashlib.sha256(read_verified(pinned.weights)).hexdigest() == digests["model.safetensors"]
    described = as_described(get_architecture(RESNET).pinned(digests), digests)
    assert described.image_preprocessing.crop == 224
    assert described.image_preprocessing.resize == 236  # its config.json says 0.95


def test_file_that_changed_on_the_machine_is_not_loaded(another_machine: Path) -> None:
    digests = provide_network("resnet18", lambda: None)
    weights = get_architecture("resnet18").pinned(digests).weights
    weights.path().write_bytes(weights.path().read_bytes()[:-1] + b"\0\0")
    with pytest.raises(TrainingError, match="not the expected"):
        read_verified(weights)


def test_file_that_changed_in_the_bucket_is_not_taken(another_machine: Path, bucket: Path) -> None:
    for path in (bucket / "pretrained").glob("*config*"):
        path.write_bytes(b"{}")
    with pytest.raises(HopelessAttempt, match="is not what was fetched"):
        provide_network("resnet18", lambda: None)
    assert not [path for path in another_machine.iterdir() if "config" in path.name]


def test_network_of_a_package_needs_nothing() -> None:
    assert provide_network("minilm", lambda: None) == {}
