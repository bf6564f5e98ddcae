import io

import pytest
import torch
from safetensors.torch import save

from training.engine.catalogue import DownloadedFile, get_architecture
from training.engine.events import TrainingError
from training.engine.networks.backbones import example_inputs
from training.engine.networks.checksums import read_pinned
from training.engine.networks.stages import build, pretrained_state

NAMES = ("efficientnet lite0", "mobilenet v2", "resnet18", "minilm", "lstm", "gru")


@pytest.mark.parametrize("name", NAMES)
def test_two_walks_are_the_whole_way(name: str) -> None:
    architecture = get_architecture(name)
    network = build(architecture).eval()
    inputs = example_inputs(architecture)(2, 9)
    mask = inputs[1] if len(inputs) > 1 else None
    with torch.inference_mode():
        whole = network(*inputs)
        middle = network.walk(inputs[0], mask, 0, network.last_cut)
        found = network.walk(middle, mask, network.last_cut, len(network.stages))
    assert whole.shape == (2, architecture.dimension)
    torch.testing.assert_close(found, whole)


@pytest.mark.parametrize("name", ["minilm", "lstm", "gru"])
def test_company_does_not_change_a_text(name: str) -> None:
    network = build(get_architecture(name)).eval()
    ids, mask = example_inputs(get_architecture(name))(2, 9)
    length = int(mask[1].sum())
    with torch.inference_mode():
        together, alone = network(ids, mask), network(ids[1:, :length], mask[1:, :length])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def test_encoder_is_berts(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModel

    architecture = get_architecture("minilm")
    network = build(architecture)
    network.load_state_dict(pretrained_state(architecture, network, read_pinned(architecture.weights)))
    theirs = AutoModel.from_pretrained(str(architecture.weights.path().parent)).eval()
    ids, mask = example_inputs(architecture)(3, 12)
    with torch.inference_mode():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        found = network.eval().walk(ids, mask, 0, len(network.stages) - 1)
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("format_", ["by name", "by order"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet v2", "timm/resnet10t.c3_in1k"])
def test_weights_of_timm_and_of_torchvision_fit(name: str, format_: str) -> None:
    """timm's own files have its names, in the alphabet's order; others' files have the layers' order."""
    import timm

    architecture = get_architecture(name)
    torch.manual_seed(0)
    origin = timm.create_model(architecture.network, pretrained=False).eval()
    with torch.no_grad():
        for module in origin.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_()
    if format_ == "by name":
        content = save(origin.state_dict())
    else:
        buffer = io.BytesIO()
        torch.save({f"layer{n}": value for n, value in enumerate(origin.state_dict().values())}, buffer)
        content = buffer.getvalue()
    network = build(architecture)
    network.load_state_dict(pretrained_state(architecture, network, content))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = origin.forward_head(origin.forward_features(images), pre_logits=True)
        torch.testing.assert_close(network.eval()(images), expected, atol=1e-5, rtol=1e-4)


def test_weights_of_another_network_are_refused() -> None:
    import timm

    architecture = get_architecture("resnet18")
    content = save(timm.create_model("resnet34", pretrained=False).state_dict())
    with pytest.raises(TrainingError, match="do not fit"):
        pretrained_state(architecture, build(architecture), content)


def test_unknown_network_of_timm_is_named() -> None:
    with pytest.raises(TrainingError, match="no_such_network"):
        build(get_architecture("timm/no_such_network"))


def test_file_whose_digest_is_not_its_names_is_refused(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net-0123abcd.pth").write_bytes(b"something else")
    monkeypatch.setenv("TRAINYARD_PRETRAINED", str(tmp_path))
    with pytest.raises(TrainingError, match="not the expected 0123abcd"):
        read_pinned(DownloadedFile("timm/net", "net-0123abcd.pth"))
