"""The main job on every combination of parts: submit, train in a real worker, predict, clean up."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools.platform_process import ROOT, PlatformProcess
from devtools.published import published_content

from .jobs import submit
from .submissions import administrator, api_session, ended_job, seconds_to_claim, send_by_page, send_over_rest

SAMPLES = ROOT / "samples"
DIGIT = sorted((SAMPLES / "digits_new").glob("*.png"))[0]
SENTENCE = "I am still waiting for my new card to arrive in the post"
WORDS = ("up", "down")
CLAIMED_WITHIN = 2.0  # seconds after it was accepted


def claimed_and_ended(platform: PlatformProcess, api: requests.Session, number: int) -> Any:
    job = ended_job(api, platform.base_url, number)
    assert seconds_to_claim(job) <= CLAIMED_WITHIN
    return job


def predict_over_rest(platform: PlatformProcess, token: str, **request: Any) -> Any:
    answer = requests.post(f"{platform.base_url}/api/v1/models/{token}/predict/", timeout=60, **request)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def api(platform: PlatformProcess) -> Iterator[requests.Session]:
    with api_session(platform) as api:
        yield api


@pytest.fixture(scope="module")
def image_job(platform: PlatformProcess, api: requests.Session) -> Any:
    """A job that the page has sent."""
    with administrator(platform) as visitor:
        number = send_by_page(visitor, SAMPLES / "digits.zip", "Digits")
    return claimed_and_ended(platform, api, number)


@pytest.fixture(scope="module")
def text_job(platform: PlatformProcess, image_job: Any, api: requests.Session) -> Any:
    """A job that came over REST when the worker had nothing else to do."""
    number = send_over_rest(api, platform.base_url, "Banking")["id"]
    return claimed_and_ended(platform, api, number)


def assert_no_file_tells(platform: PlatformProcess, token: str, folder: Path) -> None:
    """Download a model's files: with the token nobody who gets them can predict."""
    secret = token.rpartition("-")[2].encode()
    found = set()
    for wanted in ("onnx", "pytorch", "metadata", "onnx-int8"):
        address = f"{platform.base_url}/api/v1/models/{token}/download/"
        answer = requests.get(address, params={"format": wanted}, timeout=60)
        if answer.status_code == 404:
            continue
        assert answer.status_code == 200
        assert secret not in answer.headers["Content-Disposition"].encode()
        path = folder / f"{token}.{wanted}"
        path.write_bytes(answer.content)
        assert secret not in published_content(path), wanted
        found.add(wanted)
    assert found >= {"onnx", "pytorch"}


def test_both_tasks_from_data_to_prediction(
    platform: PlatformProcess, image_job: Any, text_job: Any, tmp_path: Path
) -> None:
    assert image_job["accuracy"] > 80
    assert text_job["accuracy"] > 80

    shell = platform.manage_json("predict", image_job["token"], str(DIGIT))
    assert shell["predictions"][0]["label"] == DIGIT.stem
    with DIGIT.open("rb") as file:
        rest = predict_over_rest(platform, image_job["token"], files=[("file", file)])
    assert rest["predictions"] == shell["predictions"]

    shell = platform.manage_json("predict", text_job["token"], SENTENCE)
    assert shell["predictions"][0]["label"] == "card_arrival"
    rest = predict_over_rest(
        platform, text_job["token"], json={"texts": [SENTENCE, "What is your exchange rate?"]}
    )
    assert rest["predictions"][0] == shell["predictions"][0]
    assert rest["predictions"][1]["label"] == "exchange_rate"

    for job in (image_job, text_job):
        assert_no_file_tells(platform, job["token"], tmp_path)

    assert platform.manage_json("sync_documents", "--check") == {"documents": "ok"}
    report = platform.manage_json("cleanup", "--dry-run")
    assert (report["reason"], report["deleted"]) == ("", [])


def test_model_that_expires_goes_with_its_files(platform: PlatformProcess, tmp_path: Path) -> None:
    table = tmp_path / "few.csv"
    table.write_text("input,label\n" + "".join(f"{word} {n},{word}\n" for n in range(12) for word in WORDS))
    token = submit(platform, "--wait", data_set=table)
    platform.manage(
        "shell",
        "-v0",
        "-c",
        "from models_registry.models import RegisteredModel; from django.utils import timezone; "
        f"RegisteredModel.objects.filter(token={token!r}).update(expires_at=timezone.now())",
    )
    assert platform.manage_json("cleanup")["deleted"] == [token]
    answer = requests.post(
        f"{platform.base_url}/api/v1/models/{token}/predict/", json={"texts": [SENTENCE]}, timeout=60
    )
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    left = platform.manage(
        "shell",
        "-v0",
        "-c",
        "import json; from bucket.factory import get_bucket; "
        f"print(json.dumps([key.rpartition('/')[2] for key, _ in get_bucket().list('textclassification/{token}/1/')]))",
        check=False,
    )
    assert left.returncode or json.loads(left.stdout.splitlines()[-1]) == []
    assert platform.manage_json("sync_documents", "--check") == {"documents": "ok"}
