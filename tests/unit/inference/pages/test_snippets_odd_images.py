"""The program on a model's page and REST see the same in every image that people bring."""

import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from inference.pages.snippets import snippets_for
from tests.cases import FILES, expectations
from tests.odd_images import encoded, no_images, photo, readable
from tests.tiny_models import colour_model, live_colour_model

READABLE = readable()
REFUSED = no_images()
CLOSE = 1e-3
IMAGES = "I00-odd-images/"


def run_program(folder: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    """Run the very text of the page, in a process of its own."""
    (folder / "model.onnx").write_bytes(colour_model())
    found = snippets_for(is_image=True, address="https://example.org/", file="model.onnx")
    code = next(snippet.code for snippet in found if snippet.key == "onnx")
    command = [sys.executable, "-c", code, *names]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def said_of(folder: Path, images: Mapping[str, bytes]) -> dict[str, tuple[str, float]]:
    """Return what the program says of each image: a label and its probability."""
    for name, content in images.items():
        (folder / name).write_bytes(content)
    done = run_program(folder, *images)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    return {name: (label, float(probability)) for name, label, probability in rows}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float]]:
    return said_of(tmp_path_factory.mktemp("photos"), READABLE)


def predict(content: bytes, token: str = "") -> Any:
    file = BytesIO(content)
    file.name = "photo"
    return Client().post(f"/api/v1/models/{token or live_colour_model().token}/predict/", {"file": file})


@pytest.mark.django_db
@pytest.mark.parametrize("name", READABLE)
def test_program_and_rest_agree(name: str, said: dict[str, tuple[str, float]]) -> None:
    response = predict(READABLE[name])
    assert response.status_code == 200, response.content
    [prediction] = response.json()["predictions"]
    label, probability = said[name]
    assert label == prediction["label"]
    assert probability == pytest.approx(prediction["probability"], abs=CLOSE)


@pytest.mark.django_db
def test_program_and_rest_agree_on_what_people_bring(tmp_path: Path) -> None:
    names = [name for name, one in expectations().items() if name.startswith(IMAGES) and one.inputs]
    images = {name.removeprefix(IMAGES): (FILES / name).read_bytes() for name in names}
    assert len(images) > 60
    token = live_colour_model().token
    for name, (label, probability) in said_of(tmp_path, images).items():
        [prediction] = predict(images[name], token).json()["predictions"]
        assert (name, label) == (name, prediction["label"])
        assert probability == pytest.approx(prediction["probability"], abs=CLOSE), name


@pytest.mark.django_db
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_is_refused_over_rest(name: str) -> None:
    response = predict(REFUSED[name])
    assert response.status_code == 400
    assert response.json()["detail"]


@pytest.mark.parametrize("name", ["html_404.jpg", "truncated.png", "truncated_half.jpg"])
def test_program_fails_where_rest_refuses(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(REFUSED[name])
    assert run_program(tmp_path, name).returncode == 1


@pytest.mark.django_db
def test_program_scales_large_photos_down_as_rest_does(tmp_path: Path) -> None:
    large = encoded(photo().resize((10_000, 10_000)), "JPEG", quality=60)
    (tmp_path / "large.jpg").write_bytes(large)
    done = run_program(tmp_path, "large.jpg")
    assert done.returncode == 0, done.stderr
    [prediction] = predict(large).json()["predictions"]
    _, label, probability = done.stdout.split()
    assert label == prediction["label"]
    assert float(probability) == pytest.approx(prediction["probability"], abs=CLOSE)
