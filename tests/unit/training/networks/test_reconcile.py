"""Networks of the environment come by themselves, once; what killed fetches left goes."""

from typing import Any

import pytest

from devtools.hub_server import HubServer
from tests.hub_networks import ENCODER
from training.networks.attempts import FetchAttempt
from training.networks.files import fetches_folder, partial_folder
from training.networks.models import HubNetwork, NetworkFetch
from training.networks.reconcile import fetch_networks_of_environment, sweep_fetches
from training.networks.services import add_network
from work import transitions

from .conftest import claimed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def wanted(settings: Any) -> None:
    names = [f"hf/{ENCODER}", "timm/resnet50"]  # the second one has no weights on the hub
    settings.TRAINYARD = {**settings.TRAINYARD, "FURTHER_NETWORKS": names}


def test_networks_of_the_environment_are_fetched_once(hub: HubServer) -> None:
    assert fetch_networks_of_environment() == 1
    assert fetch_networks_of_environment() == 0
    [network] = HubNetwork.objects.all()
    work = transitions.claim(NetworkFetch.objects.get(network=network), worker="w1")
    assert work is not None
    FetchAttempt(work).carry_out()
    network.refresh_from_db()
    assert (network.is_ready, network.license) == (True, "mit")


def test_nothing_is_fetched_offline(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch_networks_of_environment() == 0
    assert not HubNetwork.objects.exists()


def test_leftovers_of_killed_fetches_are_swept(hub: HubServer) -> None:
    work = claimed(add_network(name=f"hf/{ENCODER}"))
    for folder in (partial_folder(work), fetches_folder() / "4711"):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"half")
    assert sweep_fetches() == 1
    assert [path.name for path in fetches_folder().iterdir()] == [str(work.pk)]
    transitions.fail(work, reason="Its worker was killed.")
    assert sweep_fetches() == 1
    assert not list(fetches_folder().iterdir())
