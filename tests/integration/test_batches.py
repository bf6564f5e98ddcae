"""Batches in a real worker: thousands of texts, a thousand images, cancelled, killed."""

import csv
import io
import json
import random
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from devtools.platform_process import ROOT, PlatformProcess

SAMPLES = ROOT / "samples"
DIGITS = sorted((SAMPLES / "digits_new").glob("*.png"))
TEXTS, IMAGES = 3000, 1000
FASTER = {"LEASE_SECONDS": "4", "RECONCILE_SECONDS": "1"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, backbones: Path) -> Iterator[PlatformProcess]:
    home = tmp_path_factory.mktemp("batches") / "home"
    with PlatformProcess(home, backbones=backbones, env=FASTER) as platform:
        yield platform


@pytest.fixture(scope="module")
def tokens(platform: PlatformProcess) -> dict[str, str]:
    """Train both models, then let the worker serve batches."""
    tasks = {"imageclassification": "digits.zip", "textclassification": "banking.csv"}
    made = {
        task: platform.manage_json(
            "submit", "--task", task, "--data", str(SAMPLES / name), "--name", "Batches", "--wait"
        )["token"]
        for task, name in tasks.items()
    }
    platform.stop_worker()
    return made


@pytest.fixture(autouse=True)
def worker(platform: PlatformProcess, tokens: dict[str, str]) -> Iterator[None]:
    start_worker(platform)
    yield
    platform.stop_worker()


def start_worker(platform: PlatformProcess) -> None:
    platform.start_worker("--queues", "batches", wait_until_warm=False)


def send(platform: PlatformProcess, token: str, name: str, content: bytes) -> dict[str, Any]:
    answer = requests.post(
        f"{platform.base_url}/api/v1/models/{token}/batches/", files={"file": (name, content)}, timeout=120
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


def news(batch: dict[str, Any]) -> dict[str, Any]:
    answer = requests.get(batch["url"], timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_until(
    batch: dict[str, Any], holds: Callable[[dict[str, Any]], bool], within: float = 500
) -> list[dict[str, Any]]:
    """Ask for news until they are as wanted; returns all of them."""
    deadline, told = time.monotonic() + within, [news(batch)]
    while not holds(told[-1]):
        assert time.monotonic() < deadline, told[-1]
        time.sleep(0.05)
        told.append(news(batch))
    return told


def is_final(told: dict[str, Any]) -> bool:
    return told["state"] in ("succeeded", "failed", "cancelled")


def result_of(told: dict[str, Any]) -> list[dict[str, str]]:
    assert told["state"] == "succeeded", told
    answer = requests.get(told["result"], timeout=60)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def sentences(count: int) -> list[str]:
    with (SAMPLES / "banking.csv").open(newline="", encoding="utf-8") as file:
        known = [row["input"] for row in csv.DictReader(file)]
    return [f"{known[number % len(known)]} {number}" for number in range(count)]


def table(texts: list[str]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["sentence"])
    writer.writerows([text] for text in texts)
    return buffer.getvalue().encode()


def digits(count: int) -> bytes:
    """A zip of pictures that are all different."""
    pictures = [Image.open(path).convert("L") for path in DIGITS]
    buffer, chosen = io.BytesIO(), random.Random(0)
    with zipfile.ZipFile(buffer, "w") as zipped:
        for number in range(count):
            original = pictures[number % len(pictures)]
            picture = original.rotate(chosen.uniform(-5, 5), fillcolor=original.getpixel((0, 0)))
            content = io.BytesIO()
            picture.save(content, "PNG")
            zipped.writestr(f"{number:04}.png", content.getvalue())
    return buffer.getvalue()


def assert_as_single_predictions(
    platform: PlatformProcess, token: str, rows: list[dict[str, str]], **request: Any
) -> None:
    """Compare rows of a result with what the predict call says of the same inputs."""
    answer = requests.post(f"{platform.base_url}/api/v1/models/{token}/predict/", timeout=120, **request)
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    assert len(predictions) == len(rows)
    for row, prediction in zip(rows, predictions, strict=True):
        assert row["problem"] == ""
        assert abs(float(row["probability"]) - prediction["probability"]) < 1e-3
        top = json.loads(row["top"])
        if prediction["top"][0]["probability"] - prediction["top"][1]["probability"] > 1e-3:
            assert row["label"] == prediction["label"] == next(iter(top))


def lines_in_log(platform: PlatformProcess, event: str) -> int:
    return platform.log("worker", characters=1_000_000).count(event)


def test_thousands_of_texts_with_progress(platform: PlatformProcess, tokens: dict[str, str]) -> None:
    token, texts = tokens["textclassification"], sentences(TEXTS)
    batch = send(platform, token, "sentences.csv", table(texts))
    assert batch["total"] == TEXTS
    told = wait_until(batch, is_final)
    seen = [one["done"] for one in told]
    assert seen == sorted(seen)
    assert any(0 < done < TEXTS for done in seen)
    rows = result_of(told[-1])
    assert [row["text"] for row in rows] == texts
    assert [row["row"] for row in rows] == [str(number) for number in range(2, TEXTS + 2)]
    some = random.Random(1).sample(range(TEXTS), 60)
    assert_as_single_predictions(
        platform, token, [rows[number] for number in some], json={"texts": [texts[number] for number in some]}
    )


@pytest.mark.long
def test_thousand_images_with_progress(platform: PlatformProcess, tokens: dict[str, str]) -> None:
    token, archive = tokens["imageclassification"], digits(IMAGES)
    told = wait_until(send(platform, token, "digits.zip", archive), is_final)
    assert any(0 < one["done"] < IMAGES for one in told)
    rows = result_of(told[-1])
    assert [row["file"] for row in rows] == [f"{number:04}.png" for number in range(IMAGES)]
    right = sum(row["label"] == DIGITS[number % len(DIGITS)].stem for number, row in enumerate(rows))
    assert right > 0.5 * IMAGES
    some = random.Random(1).sample(range(IMAGES), 30)
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        files = [("file", (rows[number]["file"], zipped.read(rows[number]["file"]))) for number in some]
    assert_as_single_predictions(platform, token, [rows[number] for number in some], files=files)


def test_cancelled_half_way(platform: PlatformProcess, tokens: dict[str, str]) -> None:
    batch = send(platform, tokens["imageclassification"], "digits.zip", digits(IMAGES))
    wait_until(batch, lambda told: told["done"] > 0)
    assert requests.post(f"{batch['url']}cancel/", timeout=60).status_code == 202
    told = wait_until(batch, is_final)[-1]
    assert told["state"] == "cancelled"
    assert 0 < told["done"] < IMAGES
    assert requests.get(f"{batch['url']}result/", timeout=60).status_code == 404
    left = list((platform.home / "bucket" / "inference" / "batches" / batch["id"]).rglob("*.*"))
    assert left == []


def test_killed_half_way_is_finished_once(platform: PlatformProcess, tokens: dict[str, str]) -> None:
    token, archive = tokens["imageclassification"], digits(IMAGES)
    batch = send(platform, token, "digits.zip", archive)
    wait_until(batch, lambda told: told["done"] > 0)
    platform.stop_worker(kill=True)
    done = news(batch)["done"]
    assert 0 < done < IMAGES
    succeeded = lines_in_log(platform, "batch.succeeded")
    start_worker(platform)
    told = wait_until(batch, is_final)
    assert min(one["done"] for one in told) == done  # nothing is done again
    rows = result_of(told[-1])
    assert [row["file"] for row in rows] == [f"{number:04}.png" for number in range(IMAGES)]
    assert all(row["label"] for row in rows)
    platform.stop_worker()  # it has said all that it had to say
    assert lines_in_log(platform, "batch.succeeded") == succeeded + 1
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        around = range(max(0, done - 8), done + 8)
        files = [("file", (rows[number]["file"], zipped.read(rows[number]["file"]))) for number in around]
    assert_as_single_predictions(platform, token, [rows[number] for number in around], files=files)
    assert platform.manage_json("sync_documents", "--check") == {"documents": "ok"}


@pytest.mark.long
def test_worker_that_is_asked_to_end_hands_over_at_once(
    platform: PlatformProcess, tokens: dict[str, str]
) -> None:
    batch = send(platform, tokens["textclassification"], "sentences.csv", table(sentences(TEXTS)))
    wait_until(batch, lambda told: told["done"] > 0)
    platform.stop_worker()
    told = news(batch)
    assert told["state"] == "queued"
    assert 0 < told["done"] < TEXTS
    start_worker(platform)
    assert len(result_of(wait_until(batch, is_final)[-1])) == TEXTS
