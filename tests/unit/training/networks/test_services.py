"""Adding, fetching and removing networks: what is refused, with which words, and who is asked."""

from pathlib import Path

import pytest
from django.utils import timezone

from bucket.factory import get_bucket
from core.exceptions import InvalidRequest
from devtools.hub_server import HubRepository, HubServer
from tests.factories import TrainingJobFactory, UserFactory
from tests.hub_networks import ENCODER, RESNET, encoder_files
from training.engine.curated import CURATED
from training.networks.models import HubNetwork, NetworkFetch
from training.networks.services import (
    add_network,
    cancel_fetch,
    fetch_network,
    full_name,
    note_network,
    remove_network,
)

from .conftest import fetched

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("resnet18", RESNET),
        (" MobileNet  v2 ", "timm/mobilenetv2_100.ra_in1k"),
        (RESNET, RESNET),
        ("hf/intfloat/multilingual-e5-small", "hf/intfloat/multilingual-e5-small"),
    ],
)
def test_names_are_those_of_the_hub(name: str, full: str) -> None:
    assert full_name(name) == full


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("minilm", "comes with the platform"),
        ("resnet99 of mine", "is no network of the hub. Write timm/<network>.<tag>"),
        ("hf/../../etc", "is no network of the hub"),
        ("https://example.org/net", "is no network of the hub"),
    ],
)
def test_other_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        add_network(name=name)
    assert not HubNetwork.objects.exists()


def test_hub_tells_facts_that_the_curated_list_does_not_know(hub: HubServer) -> None:
    person = UserFactory()
    network = add_network(name=f"hf/{ENCODER}", by=person)
    assert (network.license, network.knows) == ("mit", "languages: de, fr")
    assert network.size == sum(map(len, encoder_files().values()))
    assert network.added_by == person
    assert add_network(name=f"hf/{ENCODER}").pk == network.pk


def test_curated_network_is_added_without_asking(hub: HubServer) -> None:
    for known in CURATED:
        network = add_network(name=known.name)
        assert (network.license, network.size, network.knows) == (known.license, known.bytes, known.knows)
    assert hub.exchanges == []


def test_hub_that_is_away_does_not_keep_anybody_from_adding(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert add_network(name=f"hf/{ENCODER}").size == 0


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("model.safetensors", "safetensors files only, since other formats can hold programs"),
        ("tokenizer.json", "cannot be cut into tokens"),
        ("config.json", "has no config.json"),
    ],
)
def test_repository_without_what_is_needed_is_refused(hub: HubServer, lacking: str, words: str) -> None:
    files = {name: content for name, content in encoder_files().items() if name != lacking}
    hub.repositories["somebody/half"] = HubRepository({**files, "pytorch_model.bin": b"x"})
    with pytest.raises(InvalidRequest, match=words):
        add_network(name="hf/somebody/half")


def test_repository_or_revision_that_is_not_there_is_refused(hub: HubServer) -> None:
    with pytest.raises(InvalidRequest, match=f"There is no somebody/else on {hub.endpoint}"):
        add_network(name="hf/somebody/else")
    with pytest.raises(InvalidRequest, match="has no revision 'v2'"):
        add_network(name=f"hf/{ENCODER}", revision="v2")


def test_network_is_fetched_by_one_worker_at_a_time(hub: HubServer) -> None:
    network = note_network(name=RESNET)
    assert fetch_network(network=network).pk == fetch_network(network=network).pk
    cancel_fetch(network=network)
    assert fetch_network(network=network).pk != NetworkFetch.objects.order_by("pk")[0].pk
    cancel_fetch(network=network)
    with pytest.raises(InvalidRequest, match="is not being fetched"):
        cancel_fetch(network=network)


def test_removed_network_takes_its_files_along(hub: HubServer, bucket: Path) -> None:
    network = add_network(name=f"hf/{ENCODER}")
    with pytest.raises(InvalidRequest, match="being fetched"):
        fetch_network(network=network)
        remove_network(network=network)
    cancel_fetch(network=network)
    fetched(network)
    with pytest.raises(InvalidRequest, match="is here already"):
        fetch_network(network=network)
    with (bucket / "another").open("wb+") as other:
        get_bucket().save("pretrained/resnet18-f37072fd.pth", other)
    remove_network(network=network)
    assert [path.name for path in (bucket / "pretrained").iterdir()] == ["resnet18-f37072fd.pth"]
    assert not HubNetwork.objects.exists()


def test_network_that_is_trained_stays() -> None:
    network = HubNetwork.objects.create(
        name=RESNET, task_type="imageclassification", revision="1", fetched_at=timezone.now()
    )
    job = TrainingJobFactory(architecture="resnet18")
    with pytest.raises(InvalidRequest, match="by 1 jobs"):
        remove_network(network=network)
    type(job).objects.filter(pk=job.pk).update(state="cancelled", finished_at=timezone.now())
    remove_network(network=network)
