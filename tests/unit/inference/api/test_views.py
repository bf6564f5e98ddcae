import json
import time
from io import BytesIO
from threading import Thread
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from control.models import PlatformStatus
from devtools.bombs import GREY, blank_png
from inference.predict import services
from models_registry.services import retire_model
from tests.factories import RegisteredModelFactory, UserFactory
from tests.tiny_models import live_colour_model, picture

pytestmark = pytest.mark.django_db


def post_files(token: str, *contents: bytes) -> Any:
    files = []
    for number, content in enumerate(contents):
        file = BytesIO(content)
        file.name = f"{number}.png"
        files.append(file)
    return Client().post(f"/api/v1/models/{token}/predict/", {"file": files})


def post_json(token: str, body: object) -> Any:
    return Client().post(f"/api/v1/models/{token}/predict/", json.dumps(body), "application/json")


def test_predict_needs_nothing_but_the_token() -> None:
    model = live_colour_model()
    response = post_files(model.token, picture("red"), picture("blue", "JPEG"))
    assert response.status_code == 200
    body = response.json()
    assert body["model"] == model.token
    assert [prediction["label"] for prediction in body["predictions"]] == ["red", "blue"]
    first = body["predictions"][0]
    assert first["probability"] == first["top"][0]["probability"] > 0.9
    assert sum(place["probability"] for place in first["top"]) == pytest.approx(1, abs=1e-4)
    assert body["milliseconds"] > 0


@pytest.mark.parametrize("state", ["unknown", "retired"])
def test_predict_without_a_live_model_is_the_same_404(state: str) -> None:
    token = "imageClassification-x-0"
    if state == "retired":
        model = live_colour_model()
        retire_model(model=model)
        token = model.token
    response = post_files(token, picture("red"))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "There is nothing here, or it is not yours."


@pytest.mark.parametrize("content", [b"", b"no image", b"<svg/>", picture("red")[:60]])
def test_predict_unusable_file_is_a_400_that_names_it(content: bytes) -> None:
    response = post_files(live_colour_model().token, picture("red"), content)
    assert response.status_code == 400
    assert "2" in response.json()["detail"] or content == b""


@pytest.mark.parametrize(
    "body", [{}, [], "x", {"texts": "one"}, {"texts": []}, {"texts": [1]}, {"texts": ["one"]}]
)
def test_predict_wrong_json_is_a_400_that_says_what_to_send(body: object) -> None:
    response = post_json(live_colour_model().token, body)
    assert response.status_code == 400
    assert "end" in response.json()["detail"]


def test_predict_broken_json_is_a_400() -> None:
    token = live_colour_model().token
    response = Client().post(f"/api/v1/models/{token}/predict/", "{", "application/json")
    assert response.status_code == 400


def test_predict_too_many_at_once_is_a_400(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_PREDICT_INPUTS": 2}
    response = post_files(live_colour_model().token, *[picture("red")] * 3)
    assert response.status_code == 400
    assert "1 to 2" in response.json()["detail"]


def test_predict_too_large_is_a_400(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_PREDICT_BYTES": 50}
    assert post_files(live_colour_model().token, picture("red")).status_code == 400


def test_predict_too_many_pixels_together_is_a_400_that_names_the_limit() -> None:
    """Each picture may have as many; before one is decoded they are added up."""
    huge = blank_png(7000, 7000, GREY, 1)
    response = post_files(live_colour_model().token, *[huge] * 5)
    assert response.status_code == 400
    assert "200 megapixels together" in response.json()["detail"]


def wait_with_a_big_image() -> None:
    with services.big_image_semaphore().acquire():
        pass


def test_predict_with_big_images_waits_apart_and_few_may() -> None:
    token, big = live_colour_model().token, blank_png(5000, 4000)
    waiting = [Thread(target=wait_with_a_big_image) for _ in range(services.MOST_WAITING_WITH_BIG_IMAGES)]
    with services.big_image_semaphore().acquire():  # as one that takes a minute would
        for thread in waiting:
            thread.start()
        deadline = time.monotonic() + 10
        while len(services.big_image_semaphore()) < len(waiting):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        response = post_files(token, big)
        assert (response.status_code, response["Retry-After"]) == (429, "5")
        assert post_files(token, picture("red")).status_code == 200
    for thread in waiting:
        thread.join(10)
    assert post_files(token, big).status_code == 200


def test_predict_in_maintenance_is_a_503() -> None:
    model = live_colour_model()
    PlatformStatus(dev_mode=True).save()
    assert post_files(model.token, picture("red")).status_code == 503


def test_predict_file_that_changed_in_the_bucket_is_not_run() -> None:
    model = live_colour_model()
    model.artifacts.update(sha256="1" * 64)
    response = post_files(model.token, picture("red"))
    assert response.status_code == 503
    assert "not the one" in response.json()["detail"]


def test_predict_get_is_not_allowed() -> None:
    response = Client().get(f"/api/v1/models/{live_colour_model().token}/predict/")
    assert response.status_code == 405
    assert response.json()["status"] == 405


def test_models_are_listed_to_their_owner_and_staff() -> None:
    mine, theirs = RegisteredModelFactory(), RegisteredModelFactory()
    client = APIClient()
    assert client.get("/api/v1/models/").status_code == 401
    client.force_authenticate(mine.owner)
    assert [entry["token"] for entry in client.get("/api/v1/models/").json()["results"]] == [mine.token]
    assert client.get(f"/api/v1/models/{theirs.token}/").status_code == 404
    client.force_authenticate(UserFactory(is_staff=True, is_superuser=True))
    assert len(client.get("/api/v1/models/").json()["results"]) == 2


def test_schema_describes_the_api() -> None:
    response = Client().get("/api/v1/schema/")
    assert response.status_code == 200
    text = response.content.decode()
    for path in ("/api/v1/models/{token}/predict/", "/api/v1/jobs/{id}/cancel/", "/api/v1/datasets/"):
        assert path in text
