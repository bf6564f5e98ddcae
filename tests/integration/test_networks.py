"""A network of the hub fetched by real workers: one is killed in the middle, the next goes on where it was."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.hub_server import HubServer
from devtools.platform_process import FOR_EVERYTHING, PlatformProcess
from tests.hub_networks import ENCODER, RESNET, encoder, resnet

from .conftest import FAST_RESCUE
from .jobs import wait_until

WEIGHTS = "model.safetensors"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A hub with an encoder and a ResNet18."""
    with HubServer({ENCODER: encoder(), RESNET: resnet()}) as server:
        yield server


@pytest.fixture
def platform(hub: HubServer, tmp_path: Path, backbones: Path) -> Iterator[PlatformProcess]:
    """A platform without a web process that knows this hub; a lost worker is noticed within seconds."""
    names_the_hub = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}
    env = {**FAST_RESCUE, **names_the_hub}
    with PlatformProcess(tmp_path / "home", env=env, web=False, worker=False, backbones=backbones) as running:
        running.start_worker(*FOR_EVERYTHING)
        yield running


def network(platform: PlatformProcess, name: str) -> dict[str, Any]:
    [row] = [row for row in _listed(platform) if row["name"] == name]
    return row


def _listed(platform: PlatformProcess) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(platform.manage("networks", "list", "--json").stdout)
    return rows


def test_killed_worker_does_not_fetch_again_what_has_arrived(
    platform: PlatformProcess, hub: HubServer
) -> None:
    hub.pause = 0.03  # between pieces of 64 KB: the weights take twenty seconds
    platform.manage("networks", "fetch", RESNET, "--no-wait")
    wait_until("a part has arrived", lambda: network(platform, RESNET)["arrived"] > 2**22)
    assert platform.worker is not None
    os.kill(platform.worker.pid, signal.SIGKILL)
    platform.worker.wait()
    hub.pause = 0.0
    platform.start_worker(*FOR_EVERYTHING, wait_until_warm=False)
    wait_until("the network is here", lambda: network(platform, RESNET)["state"] == "ready")
    first, *later = hub.ranges(WEIGHTS)
    assert first in ("", "bytes=0-")
    assert later
    assert all(int(found[1]) > 2**20 for found in map(re.compile(r"bytes=(\d+)-").match, later) if found)
    assert all(later)


@pytest.mark.long
def test_network_that_is_fetched_by_the_shell_is_trained_by_a_worker(
    platform: PlatformProcess, tmp_path: Path
) -> None:
    name = f"hf/{ENCODER}"
    assert "is here already" not in platform.manage("networks", "fetch", name, "--here").stdout
    assert "is here already" in platform.manage("networks", "fetch", name).stdout
    rows = [f"where is my card {number},card\ni want to pay bill {number},pay" for number in range(12)]
    table = tmp_path / "sentences.csv"
    table.write_text("\n".join(["input,label", *rows]))
    what = ("--task", "textclassification", "--data", str(table), "--name", "From the hub")
    job = platform.manage_json("submit", *what, "--model", name, "--wait")
    assert job["state"] == "succeeded"
    platform.manage("networks", "remove", name)
    assert name not in [row["name"] for row in _listed(platform)]
