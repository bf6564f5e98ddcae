from typing import Any

import pytest

from training.checks import further_networks_exist


@pytest.mark.parametrize(
    ("names", "wrong"),
    [([], 0), (["timm/resnet50", "timm/resnet50.a1_in1k", "lstm"], 0), (["resnet9000", "timm/../x"], 2)],
)
def test_names_of_further_networks_are_checked(settings: Any, names: list[str], wrong: int) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "FURTHER_NETWORKS": names}
    found = further_networks_exist()
    assert len(found) == wrong
    assert all("FURTHER_NETWORKS" in message.msg for message in found)
