import pytest
import torch

from training.engine.catalogue import get_architecture
from training.engine.networks.factory import get_family

NAMES = ("efficientnet lite0", "mobilenet v2", "resnet18", "minilm", "lstm", "gru")


@pytest.mark.parametrize("name", NAMES)
def test_two_walks_are_the_whole_way(name: str) -> None:
    architecture = get_architecture(name)
    family = get_family(architecture.family)
    network = family.build(architecture).eval()
    inputs = family.example_inputs(architecture, 2, 9)
    mask = inputs[1] if len(inputs) > 1 else None
    with torch.inference_mode():
        whole = network(*inputs)
        middle = network.walk(inputs[0], mask, 0, network.last_cut)
        found = network.walk(middle, mask, network.last_cut, len(network.stages))
    assert whole.shape == (2, architecture.dimension)
    torch.testing.assert_close(found, whole)


@pytest.mark.parametrize("name", ["minilm", "lstm", "gru"])
def test_company_does_not_change_a_text(name: str) -> None:
    architecture = get_architecture(name)
    family = get_family(architecture.family)
    network = family.build(architecture).eval()
    ids, mask = family.example_inputs(architecture, 2, 9)
    length = int(mask[1].sum())
    with torch.inference_mode():
        together, alone = network(ids, mask), network(ids[1:, :length], mask[1:, :length])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet lite0", "minilm", "lstm"])
def test_rebuilt_network_says_what_the_trained_one_says(name: str) -> None:
    architecture = get_architecture(name)
    family = get_family(architecture.family)
    trained = family.build(architecture, vocabulary=None if architecture.reads_images else 40_000).eval()
    inputs = family.example_inputs(architecture, 2, 9)
    with torch.inference_mode():
        expected = trained(*inputs)
        torch.testing.assert_close(family.rebuild(architecture, trained.state_dict())(*inputs), expected)
