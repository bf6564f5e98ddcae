"""A hub on this machine, and a worker's way of fetching from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.hub_server import HubServer
from tests.hub_networks import ENCODER, RESNET, encoder, resnet
from training.networks import hub as client
from training.networks import services
from training.networks.attempts import FetchAttempt
from training.networks.models import HubNetwork, NetworkFetch
from work import attempt, transitions


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path, bucket: Path) -> Iterator[HubServer]:
    """A hub with an encoder and a ResNet18, which the environment names."""
    settings.HOME = tmp_path
    monkeypatch.setattr(client, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("TRAINYARD_PRETRAINED", str(bucket / "pretrained"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nobody"))
    for place in (services, attempt):
        monkeypatch.setattr(place, "announce", lambda work: True)
    with HubServer({ENCODER: encoder(), RESNET: resnet()}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


def claimed(network: HubNetwork) -> NetworkFetch:
    """Have a network fetched, and take the work as a worker does."""
    work = transitions.claim(services.fetch_network(network=network), worker="w1")
    assert work is not None
    return work


def fetched(network: HubNetwork) -> NetworkFetch:
    """Let one attempt fetch a network; returns how the work stands then."""
    work = claimed(network)
    FetchAttempt(work).carry_out()
    work.refresh_from_db()
    network.refresh_from_db()
    return work
