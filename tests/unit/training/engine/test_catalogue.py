import hashlib
from pathlib import Path

import pytest

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION
from training.engine.catalogue import (
    ARCHITECTURES,
    available,
    default_architecture,
    get_architecture,
)
from training.engine.weights_files import DownloadedFile


@pytest.fixture(autouse=True)
def no_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has fetched nothing."""
    for name in ("HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("HF_HUB_CACHE", "TRAINYARD_PRETRAINED"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("spelled", ["ResNet18", "MobileNet v2", "LSTM", "GRU", "ResNet34", "minilm"])
def test_names_may_be_spelled_as_others_do(spelled: str) -> None:
    assert get_architecture(spelled).name == spelled.lower()


@pytest.mark.parametrize("name", ["resnet", "timm/../../etc", "timm/", "Timm/resnet18"])
def test_unknown_names_list_the_known(name: str) -> None:
    with pytest.raises(ValueError, match="Known: efficientnet lite0"):
        get_architecture(name)


def test_defaults_can_be_trained_by_every_strategy() -> None:
    for task_type in (IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION):
        found = get_architecture(default_architecture(task_type))
        assert found.available_strategies == found.strategies == ("frozen", "finetune", "best", "scratch")


def test_networks_without_weights_can_only_start_from_nothing() -> None:
    for name in ("mobilenet v2", "resnet18", "resnet34"):
        found = get_architecture(name)
        assert found.available_strategies == ("scratch",)
        assert "hf download timm/" in found.unavailable_because("finetune")
        assert found.unavailable_because() == ""


def test_recurrent_networks_have_nothing_to_freeze() -> None:
    for name in ("lstm", "gru"):
        assert get_architecture(name).available_strategies == ("finetune", "scratch")
        assert "no pretrained layers" in get_architecture(name).unavailable_because("frozen")


def test_weights_in_the_hubs_cache_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    folder = tmp_path / "HF_HOME" / "hub" / "models--timm--resnet18.a1_in1k"
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / digest).write_bytes(b"weights")
    (folder / "snapshots" / "1").mkdir(parents=True)
    link = folder / "snapshots" / "1" / "model.safetensors"
    link.symlink_to(folder / "blobs" / digest)
    found = get_architecture("resnet18")
    assert found.available_strategies == ("frozen", "finetune", "best", "scratch")
    assert found.weights.path() == link
    assert found.weights.digest(link) == digest


def test_weights_put_there_by_hand_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRAINYARD_PRETRAINED", str(tmp_path))
    (tmp_path / "resnet34-b627a593.pth").write_bytes(b"weights")
    weights = get_architecture("resnet34").weights
    assert isinstance(weights, DownloadedFile)
    assert weights.digest(weights.path()) == "b627a593"


def test_allowed_networks_are_found_by_their_name_and_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRAINYARD_PRETRAINED", str(tmp_path))
    weights = get_architecture("timm/resnet10t.c3_in1k").weights
    digest = hashlib.sha256(b"weights").hexdigest()
    (tmp_path / "resnet10t.c3_in1k-other.safetensors").write_bytes(b"no digest")
    (tmp_path / f"resnet10t.ra_in1k-{digest}.safetensors").write_bytes(b"another tag")
    with pytest.raises(FileNotFoundError, match=r"put resnet10t\.c3_in1k-<its SHA-256>\.safetensors below"):
        weights.path()
    (tmp_path / f"resnet10t.c3_in1k-{digest}.safetensors").write_bytes(b"weights")
    assert weights.digest(weights.path()) == digest


def test_administrators_may_allow_more_networks() -> None:
    names = [found.name for found in available(IMAGE_CLASSIFICATION, ["timm/resnet10t.c3_in1k"])]
    assert names == [
        *(one.name for one in ARCHITECTURES.values() if one.task_type == IMAGE_CLASSIFICATION),
        "timm/resnet10t.c3_in1k",
    ]
    assert "timm/resnet10t.c3_in1k" not in [
        found.name for found in available(TEXT_CLASSIFICATION, ["timm/resnet10t.c3_in1k"])
    ]


def test_slugs_are_safe_in_file_names() -> None:
    for name in (*ARCHITECTURES, "timm/resnet10t.c3_in1k"):
        assert not set(get_architecture(name).slug) & set("/ \\")
