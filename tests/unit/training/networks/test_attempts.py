"""Fetching: a real client, a hub that speaks its protocol, real networks; what goes wrong leaves nothing half-made."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from devtools.hub_server import HubRepository, HubServer
from tests.hub_networks import ENCODER, RESNET, encoder, encoder_files, resnet_files
from training.networks import attempts
from training.networks.attempts import FetchAttempt
from training.networks.files import fetches_folder
from training.networks.models import HubNetwork, NetworkFetch
from training.networks.services import add_network, cancel_fetch
from work import heartbeat, transitions
from work.models import State

from .conftest import claimed, fetched

pytestmark = pytest.mark.django_db(transaction=True)


def left_behind(bucket: Path) -> list[str]:
    """What a fetch left on the machine and in the bucket."""
    folders = (fetches_folder(), bucket / "pretrained")
    return sorted(
        path.name for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_file()
    )


def test_fetch_pins_revision_and_files_and_shares_them(hub: HubServer, bucket: Path) -> None:
    network = add_network(name=f"hf/{ENCODER}")
    work = fetched(network)
    assert (work.state, work.message) == (State.SUCCEEDED, "")
    assert work.done == work.total == sum(map(len, encoder_files().values()))
    assert network.revision == hub.repositories[ENCODER].commit
    assert network.digests == {
        name: hashlib.sha256(content).hexdigest() for name, content in encoder_files().items()
    }
    stored = {path.name: path.read_bytes() for path in (bucket / "pretrained").iterdir()}
    assert set(stored) == set(network.stored_files)
    assert sorted(stored.values()) == sorted(encoder_files().values())
    assert not list(fetches_folder().iterdir())


def test_cut_connections_are_resumed_and_progress_is_told(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    tell = heartbeat.Heartbeat.tell

    def listen(self: heartbeat.Heartbeat, **news: Any) -> None:
        told.append(news["done"])
        tell(self, **news)

    monkeypatch.setattr(heartbeat.Heartbeat, "tell", listen)
    size = len(resnet_files()["model.safetensors"])
    hub.cut("model.safetensors", size // 3, size // 4)
    assert fetched(add_network(name="resnet18")).state == State.SUCCEEDED
    first, second, third = hub.ranges("model.safetensors")
    assert first == ""
    assert 0 < int(second[6:-1]) <= size // 3 < int(third[6:-1]) < size
    assert told == sorted(told)
    assert len(set(told)) > 20
    assert "pytorch_model.bin" not in {one.path.rpartition("/")[2] for one in hub.exchanges}


def test_attempt_goes_on_where_another_one_ended(hub: HubServer) -> None:
    network = add_network(name=RESNET)
    work = claimed(network)
    hub.cut("model.safetensors", 1_000_000, 0, 0, 0)
    FetchAttempt(work).carry_out()
    work.refresh_from_db()
    assert work.state == State.QUEUED  # the connection was cut too often; another attempt may succeed
    before = len(hub.ranges("model.safetensors"))
    again = transitions.claim(work, worker="w2")
    assert again is not None
    FetchAttempt(again).carry_out()
    again.refresh_from_db()
    assert again.state == State.SUCCEEDED
    assert hub.ranges("model.safetensors")[before:] == ["bytes=1000000-"]


@pytest.mark.parametrize("name", [f"hf/{ENCODER}", RESNET])
def test_wrong_digest_is_refused_and_nothing_stays(hub: HubServer, bucket: Path, name: str) -> None:
    repository = hub.repositories[name.removeprefix("hf/")]
    good = repository.files["model.safetensors"]
    repository.served["model.safetensors"] = good[:-1] + bytes([good[-1] ^ 1])
    work = fetched(network := add_network(name=name))
    assert work.state == State.FAILED
    assert "model.safetensors is not what the hub says it is" in work.message
    assert not network.is_ready
    assert left_behind(bucket) == []


def test_small_file_that_was_changed_on_the_way_is_refused(hub: HubServer, bucket: Path) -> None:
    repository = hub.repositories[ENCODER]
    repository.served["config.json"] = repository.files["config.json"].replace(b"32", b"64", 1)
    assert "config.json is not what the hub says it is" in fetched(add_network(name=f"hf/{ENCODER}")).message
    assert left_behind(bucket) == []


def test_revision_that_the_hub_changed_is_refused(hub: HubServer, bucket: Path) -> None:
    network = add_network(name=f"hf/{ENCODER}")
    fetched(network)
    pinned = network.revision
    HubNetwork.objects.update(fetched_at=None)
    shutil.rmtree(bucket / "pretrained")
    network.refresh_from_db()
    changed = dict(encoder_files(), **{"tokenizer.json": encoder_files()["tokenizer.json"] + b" "})
    repository = hub.repositories[ENCODER] = HubRepository(changed)
    assert "has no revision" in fetched(network).message
    HubNetwork.objects.update(revision=repository.commit)  # as a hub that lies about what a commit holds
    network.refresh_from_db()
    assert network.revision != pinned
    assert "that was pinned when it was first fetched" in fetched(network).message
    assert left_behind(bucket) == []


def test_file_that_is_no_safetensors_is_refused(hub: HubServer, bucket: Path) -> None:
    hub.repositories[ENCODER] = HubRepository(
        dict(encoder_files(), **{"model.safetensors": b"\x80\x02" * 60})
    )
    assert "is no safetensors file" in fetched(add_network(name=f"hf/{ENCODER}")).message
    assert left_behind(bucket) == []


def test_gated_network_says_what_to_do(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[ENCODER] = encoder(gated=True)
    network = add_network(name=f"hf/{ENCODER}")
    assert network.license == "mit"  # its page can be read, its files cannot
    message = fetched(network).message
    assert f"Sign in on {hub.endpoint}/{ENCODER}, accept its licence" in message
    assert "HF_TOKEN" in message
    monkeypatch.setenv("HF_TOKEN", "hf_accepted")
    assert fetched(network).state == State.SUCCEEDED


def test_offline_mode_is_honoured(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    work = fetched(add_network(name=f"hf/{ENCODER}"))
    assert work.state == State.FAILED
    assert "HF_HUB_OFFLINE is set" in work.message
    assert hub.exchanges == []


def test_hub_that_is_away_is_asked_again(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    network = add_network(name=RESNET)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    work = fetched(network)
    assert work.state == State.QUEUED
    assert "http://127.0.0.1:9 cannot be reached" in work.message


def test_cancelled_fetch_leaves_nothing(
    hub: HubServer, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.02)
    hub.pause = 0.02
    network = add_network(name=RESNET)
    work = claimed(network)
    tell = heartbeat.Heartbeat.tell

    def cancel(self: heartbeat.Heartbeat, **news: Any) -> None:
        if news["done"] > 1_000_000 and not cancelled:
            cancelled.append(True)
            cancel_fetch(network=network)
        tell(self, **news)

    cancelled: list[bool] = []
    monkeypatch.setattr(heartbeat.Heartbeat, "tell", cancel)
    FetchAttempt(work).carry_out()
    work.refresh_from_db()
    assert work.state == State.CANCELLED
    assert work.done < work.total
    assert left_behind(bucket) == []


def test_lack_of_room_is_told_first(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(attempts.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    work = fetched(add_network(name=RESNET))
    assert work.state == State.FAILED
    assert "Make room" in work.message
    assert hub.ranges("model.safetensors") == []


def test_lost_lease_leaves_the_network_as_it_is(hub: HubServer, bucket: Path) -> None:
    network = add_network(name=f"hf/{ENCODER}")
    work = claimed(network)
    NetworkFetch.objects.update(lease_expires_at=timezone.now())
    assert transitions.take_from_dead_worker(work, now=timezone.now()) == State.QUEUED
    FetchAttempt(work).carry_out()
    network.refresh_from_db()
    assert not network.is_ready
    assert NetworkFetch.objects.get().state == State.QUEUED
