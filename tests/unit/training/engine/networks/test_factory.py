import pytest

from training.engine.catalogue import ARCHITECTURES, get_architecture
from training.engine.networks.factory import get_family
from training.engine.specs.strategies import FROZEN


@pytest.mark.parametrize("name", [*ARCHITECTURES, "timm/resnet10t.c3_in1k", "hf/somebody/tiny-bert"])
def test_family_of_every_architecture_is_known(name: str) -> None:
    architecture = get_architecture(name)
    assert get_family(architecture.family).is_prepared == (FROZEN in architecture.strategies)


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="Known: efficientnet, resnet, timm, minilm, recurrent, hub"):
        get_family("transformer")
