"""The whole of Flash's table over HTTP, as its page makes the calls: train, wait, classify, download."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools.platform_process import PlatformProcess
from devtools.published import published_content
from models_registry.artifacts import Predictor

TRAINING = {
    "result": "error",
    "message": "The model is currently training. Please try again after a few minutes.",
}
UNKNOWN = {"result": "error", "message": "No such token found."}
TRAINED_WITHIN = 180  # seconds
TABLE = "input,label\n" + "".join(f"good day {n},greeting\ngo away {n},other\n" for n in range(30))
FORM = {
    "taskName": "Small talk",
    "taskType": "textClassification",
    "modelType": "LSTM",
    "dataSplit": "70 : 30",
    "optimizer": "adam",
    "learningRate": "0.001",
    "batchSize": "8",
    "epochs": "3",
    "reduceLrOnPlateau": False,
    "stepLr": False,
}


@pytest.fixture
def flash(tmp_path: Path, backbones: Path) -> Iterator[PlatformProcess]:
    env = {"FLASH_ALLOW_TRAINING": "true"}
    with PlatformProcess(tmp_path / "home", env=env, backbones=backbones) as platform:
        yield platform


def ask(platform: PlatformProcess, call: str, wish: dict[str, Any]) -> Any:
    """What a call answers; its form's first part is called as nobody expects."""
    answer = requests.post(
        f"{platform.base_url}/flash/{call}", files={"whatever": (None, json.dumps(wish))}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_flashs_clients_train_use_and_download_a_model(flash: PlatformProcess, tmp_path: Path) -> None:
    status = requests.get(f"{flash.base_url}/flash/status", timeout=10).json()
    assert status == {"result": "success", "status": "sleeping"}
    for call in ("check", "inference", "download"):
        assert (
            ask(flash, call, {"token": "textClassification-x-0", "input": "x", "format": "onnx"}) == UNKNOWN
        )
    refused = ask(flash, "train", {**FORM, "dataset": encoded(TABLE.replace("label", "kind"))})
    assert refused["message"].startswith("There is no column 'label'.")

    accepted = ask(flash, "train", {**FORM, "dataset": encoded(TABLE)})
    assert accepted["result"] == "success", accepted
    token = accepted["token"]
    answer, deadline = ask(flash, "check", {"token": token}), time.monotonic() + TRAINED_WITHIN
    assert answer == TRAINING
    while answer == TRAINING:
        assert time.monotonic() < deadline, flash.log("worker")
        time.sleep(0.2)
        answer = ask(flash, "check", {"token": token})
    assert answer["result"] == "success", answer
    assert (answer["downloadable"], answer["taskType"]) == (True, "textclassification")
    assert 0 <= answer["accuracy"] <= 100
    assert base64.b64decode(answer["accuracyPlot"], validate=True)

    said = ask(flash, "inference", {"token": token, "input": "good day 99"})
    assert said["result"] == "success"
    for wanted, ending in (("pytorch", ".pt"), ("onnx", ".onnx")):
        path = tmp_path / f"saved{ending}"
        path.write_bytes(save(ask(flash, "download", {"token": token, "format": wanted})["url"], ending))
        assert token.rpartition("-")[2].encode() not in published_content(path)
    saved = Predictor.from_bytes((tmp_path / "saved.onnx").read_bytes(), threads=1)
    assert saved.predict(["good day 99"])[0].label == said["prediction"]


def encoded(table: str) -> str:
    return base64.b64encode(table.encode()).decode()


def save(address: str, ending: str) -> bytes:
    """Fetch what a page would save under the last part of the address."""
    assert address.endswith(ending)
    answer = requests.get(address, headers={"Origin": "https://flash.example"}, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer.content
