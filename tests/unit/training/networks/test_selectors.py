"""Which networks can be used: fetched ones on every machine, others where their files lie."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import HubNetworkFactory
from training.networks.selectors import find_network, is_allowed, known_networks, usable_networks

pytestmark = pytest.mark.django_db
TEXT, IMAGE = "textclassification", "imageclassification"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HOME", "TORCH_HOME", "TRAINYARD_PRETRAINED"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def ready(name: str, task: str = TEXT) -> None:
    HubNetworkFactory(name=name, task_type=task, revision="1", fetched_at=timezone.now())


def test_fetched_network_can_be_used_although_its_files_lie_elsewhere() -> None:
    name = "hf/somebody/tiny"
    assert "manage.py networks fetch hf/somebody/tiny" in find_network(name).unavailable_because("frozen")
    assert not is_allowed(name)
    ready(name)
    assert find_network(name).available_strategies == ("frozen", "finetune", "best", "scratch")
    assert is_allowed(name)
    assert [network.name for network in usable_networks(TEXT)] == ["minilm", "lstm", "gru", name]


def test_fetched_weights_of_the_catalogue_are_no_network_of_their_own() -> None:
    before = [network.name for network in usable_networks(IMAGE)]
    assert find_network("resnet18").unavailable_because("frozen")
    ready("timm/resnet18.a1_in1k", IMAGE)
    found = {network.name: network for network in usable_networks(IMAGE)}
    assert list(found) == before
    assert not found["resnet18"].unavailable_because("frozen")
    assert found["resnet34"].unavailable_because("frozen")
    assert not find_network("resnet18").unavailable_because("frozen")


def test_network_of_the_environment_is_listed_once(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "FURTHER_NETWORKS": ["hf/somebody/tiny"]}
    ready("hf/somebody/tiny")
    assert [network.name for network in usable_networks(TEXT)].count("hf/somebody/tiny") == 1


def test_added_network_that_is_not_fetched_cannot_be_used() -> None:
    HubNetworkFactory(name="hf/somebody/tiny")
    assert "hf/somebody/tiny" not in [network.name for network in usable_networks(TEXT)]
    assert find_network("hf/somebody/tiny").unavailable_because("frozen")


def test_known_networks_are_the_curated_and_the_added_ones() -> None:
    ready("hf/somebody/tiny")
    HubNetworkFactory(name="timm/resnet18.a1_in1k", task_type=IMAGE)
    listed = {row["name"]: row for row in known_networks()}
    assert listed["hf/somebody/tiny"]["state"] == "ready"
    assert listed["timm/resnet18.a1_in1k"]["state"] == "not fetched"
    assert listed["timm/resnet18.a1_in1k"]["license"] == "apache-2.0"
    assert listed["hf/intfloat/multilingual-e5-small"]["state"] == "not added"
