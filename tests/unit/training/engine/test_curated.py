"""The curated list names networks that the catalogue can build, and says what each is."""

from training.engine.catalogue import ARCHITECTURES, get_architecture
from training.engine.curated import ACCURATE, CURATED, MULTILINGUAL, SMALL, find_curated, seed_networks


def test_every_network_is_one_of_the_catalogue() -> None:
    assert len({network.name for network in CURATED}) == len(CURATED)
    for network in CURATED:
        assert get_architecture(network.name).task_type == network.task_type
        assert network.license
        assert network.bytes > 1_000_000
        assert network.knows
        assert set(network.good_for) <= {SMALL, ACCURATE, MULTILINGUAL}


def test_seed_expects_networks_of_the_catalogue() -> None:
    repositories = {one.repository: name for name, one in ARCHITECTURES.items() if one.repository}
    found = [repositories[network.name] for network in seed_networks()]
    assert found == ["resnet18", "resnet34", "mobilenet v2"]


def test_unknown_network_has_no_facts() -> None:
    assert find_curated("hf/somebody/net") is None
