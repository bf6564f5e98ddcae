import io

import pytest
import torch
from safetensors.torch import save

from training.engine.catalogue import get_architecture
from training.engine.events import TrainingError
from training.engine.networks.factory import get_family


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
    family = get_family(architecture.family)
    network = family.build(architecture)
    family.load_weights(architecture, network, content)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = origin.forward_head(origin.forward_features(images), pre_logits=True)
        torch.testing.assert_close(network.eval()(images), expected, atol=1e-5, rtol=1e-4)


def test_weights_of_another_network_are_refused() -> None:
    import timm

    architecture = get_architecture("resnet18")
    family = get_family(architecture.family)
    content = save(timm.create_model("resnet34", pretrained=False).state_dict())
    with pytest.raises(TrainingError, match="do not fit"):
        family.load_weights(architecture, family.build(architecture), content)


def test_unknown_network_of_timm_is_named() -> None:
    architecture = get_architecture("timm/no_such_network")
    with pytest.raises(TrainingError, match="no_such_network"):
        get_family(architecture.family).build(architecture)
