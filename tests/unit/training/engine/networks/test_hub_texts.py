"""An encoder of the Hugging Face hub, as its cache holds it: trained, exported, served like our own."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from models_registry.artifacts import Predictor
from training.engine.catalogue import MINILM_TOKENIZER, get_architecture
from training.engine.events import TrainingError
from training.engine.networks.backbones import get_backbone
from training.engine.specs.hyperparameters import Hyperparameters
from training.engine.training import train
from training.engine.weights_files import git_id

from ..conftest import MakeRequest
from ..small_data import few_sentences

TEXT, NAME = "textclassification", "hf/somebody/tiny-bert"
VOCABULARY = 30_522  # of the tokenizer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache with one small network in it; returns the folder of its files' links."""
    from transformers import BertConfig, BertModel

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    network = BertModel(BertConfig(vocab_size=VOCABULARY, **shape))
    network.save_pretrained(tmp_path / "made")
    repository = tmp_path / "hf" / "hub" / "models--somebody--tiny-bert"
    links = repository / "snapshots" / "1"
    for folder in (repository / "blobs", links):
        folder.mkdir(parents=True)
    contents = {
        name: (tmp_path / "made" / name).read_bytes() for name in ("model.safetensors", "config.json")
    }
    contents["tokenizer.json"] = MINILM_TOKENIZER.path().read_bytes()
    for name, content in contents.items():
        is_large = name == "model.safetensors"
        digest = hashlib.sha256(content).hexdigest() if is_large else git_id(content)
        (repository / "blobs" / digest).write_bytes(content)
        (links / name).symlink_to(repository / "blobs" / digest)
    return links


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("frozen", {}),
        ("finetune", {"epochs": 12, "learning_rate": 3e-3}),
        pytest.param("scratch", {"epochs": 12, "learning_rate": 3e-3}, marks=pytest.mark.long),
    ],
)
def test_encoder_is_trained_and_its_files_agree(
    hub: Path, make_request: MakeRequest, tmp_path: Path, strategy: str, settings: dict[str, float]
) -> None:
    request = make_request(
        TEXT,
        few_sentences(tmp_path / "sentences.csv", each=40),
        architecture=NAME,
        strategy=strategy,
        cache_dir=str(tmp_path / "backbones"),
        hyperparameters=Hyperparameters(**settings),  # type: ignore[arg-type]
    )
    result = train(request, lambda _: None, should_stop=lambda: False)
    assert result.metrics["accuracy"] > result.metrics["majority_baseline"] + 0.1
    assert result.parity["max_abs_difference"] < 1e-3
    assert result.parity["changed_labels"] == 0
    onnx = Path(request.output_dir, result.artifacts["onnx"]).read_bytes()
    [found] = Predictor.from_bytes(onnx).predict(["Where is my card?"])
    assert found.label in result.classes


def test_what_is_not_in_the_cache_is_said(hub: Path) -> None:
    assert get_architecture(NAME).available_strategies == ("frozen", "finetune", "best", "scratch")
    (hub / "config.json").unlink()
    found = get_architecture(NAME)
    assert found.available_strategies == ()
    assert "config.json of somebody/tiny-bert is not on this machine" in found.unavailable_because("scratch")
    assert "hf download somebody/other" in get_architecture("hf/somebody/other").unavailable_because("frozen")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "not-a-model"}, "no encoder that transformers knows"),
        ({"num_hidden_layers": 3}, "do not fit the network"),
    ],
)
def test_repository_that_does_not_fit_is_refused(
    hub: Path, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    content = json.dumps({**json.loads((hub / "config.json").read_text()), **changed}).encode()
    blob = (hub / "config.json").resolve().with_name(git_id(content))
    blob.write_bytes(content)
    (hub / "config.json").unlink()
    (hub / "config.json").symlink_to(blob)
    with pytest.raises(TrainingError, match=message):
        get_backbone(get_architecture(NAME), tmp_path / "backbones")


def test_changed_file_is_refused(hub: Path, tmp_path: Path) -> None:
    (hub / "config.json").resolve().write_text("{}")
    with pytest.raises(TrainingError, match=r"config\.json has the SHA-256"):
        get_backbone(get_architecture(NAME), tmp_path / "backbones")
