"""Runs that take too much, over every way in: ended, told, and the second time the model is switched off."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.test import Client

from bucket.factory import get_bucket
from core.exceptions import InvalidRequest, LimitExceeded, TooManyRequests
from inference.batches import services as batch_services
from inference.batches.attempts import BatchAttempt
from inference.batches.models import Batch
from inference.predict import services
from inference.predict.services import explain, predict
from models_registry.artifacts import Predictor
from models_registry.models import RegisteredModel
from tests import hostile_models as hostile
from tests.factories import ArtifactFactory, RegisteredModelFactory
from tests.tiny_models import COLOURS, colour_model, picture

pytestmark = pytest.mark.django_db(transaction=True)
RED = picture("red")


@pytest.fixture(autouse=True)
def strict_limits(settings: Any) -> Iterator[None]:
    settings.TRAINYARD = {
        **settings.TRAINYARD,
        "PREDICT_SECONDS": 0.3,
        "EXTERNAL_MODEL_SECONDS": 1,
        "EXTERNAL_MODEL_MEMORY_BYTES": 2**28,
    }
    services.predictor_cache.cache_clear()
    yield
    services.predictor_cache.cache_clear()


def live(content: bytes, **fields: Any) -> RegisteredModel:
    model = RegisteredModelFactory(name="Theirs", classes=list(COLOURS), **fields)
    artifact = ArtifactFactory(model=model, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    get_bucket().save(artifact.key, BytesIO(content))
    return model


def imported(content: bytes) -> RegisteredModel:
    return live(content, origin=RegisteredModel.Origin.IMPORTED)


def own(content: bytes) -> RegisteredModel:
    return live(content)


def post(client: Client, token: str) -> Any:
    return client.post(f"/api/v1/models/{token}/predict/", {"file": io.BytesIO(RED)})


def described(content: bytes) -> bytes:
    """The same network as one of ours."""
    import onnx

    properties = onnx.load_model_from_string(colour_model()).metadata_props
    model = onnx.load_model_from_string(content)
    model.metadata_props.extend(properties)
    model.graph.input[0].name = "image"
    model.graph.output[0].name = "probabilities"
    for node in model.graph.node:
        node.input[:] = ["image" if name == "input.1" else name for name in node.input]
        node.output[:] = ["probabilities" if name == "output" else name for name in node.output]
    return model.SerializeToString()


def test_model_from_outside_predicts_and_explains_in_a_sandbox(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "from_bytes", lambda *_, **__: pytest.fail("opened here"))
    model = imported(colour_model())
    assert predict(token=model.token, inputs=[RED]).predictions[0].label == "red"
    assert explain(token=model.token, inputs=[RED]).explanations
    assert post(client, model.token).json()["predictions"][0]["label"] == "red"


def test_model_of_ours_and_its_copy_from_outside_do_not_share_a_process() -> None:
    copied, ours = imported(colour_model()), own(colour_model())
    for _ in range(2):
        for model in (copied, ours):
            predict(token=model.token, inputs=[RED])
    assert isinstance(services.load_predictor(ours), Predictor)
    assert not isinstance(services.load_predictor(copied), Predictor)


@pytest.mark.parametrize("make", [imported, own])
def test_endless_run_is_told_and_the_second_switches_the_model_off(client: Client, make: Any) -> None:
    content = hostile.endless_loop()
    model = make(described(content) if make is own else content)
    for count in (1, 2):
        answer = post(client, model.token)
        assert answer.status_code == 503
        assert answer["Content-Type"] == "application/problem+json"
        assert "longer than" in answer.json()["detail"]
        model.refresh_from_db()
        assert model.broken_limits == count, "one run a call"
    answer = post(client, model.token)
    assert answer.status_code == 400
    assert "switched off" in answer.json()["detail"]
    assert "switched off" in client.get(f"/models/{model.token}/").content.decode()


def test_run_that_takes_all_memory_is_told() -> None:
    model = imported(hostile.memory_hog(2**33))
    with pytest.raises(LimitExceeded, match="memory"):
        predict(token=model.token, inputs=[RED])


def test_model_that_breaks_limits_when_it_is_opened_is_switched_off() -> None:
    model = imported(hostile.memory_hog(2**33, when_opened=True))
    for _ in range(3):
        with pytest.raises((LimitExceeded, InvalidRequest)):
            predict(token=model.token, inputs=[RED])
    model.refresh_from_db()
    assert "switched off" in model.unusable_because


def test_page_tells_of_a_broken_limit(client: Client) -> None:
    model = imported(hostile.endless_loop())
    answer = client.post(
        f"/models/{model.token}/try/", {"file": io.BytesIO(RED)}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 503
    assert "longer than" in answer.content.decode()


def test_flash_tells_of_a_broken_limit(client: Client) -> None:
    import base64

    model = imported(hostile.endless_loop())
    body = {"token": model.token, "input": base64.b64encode(RED).decode()}
    answer = client.post("/flash/inference", {"json": json.dumps(body)})
    assert answer.status_code < 600
    assert "longer than" in answer.content.decode()


def test_shell_tells_of_a_broken_limit(tmp_path: Any) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    with zipfile.ZipFile(tmp_path / "red.zip", "w") as zipped:
        zipped.writestr("red.png", RED)
    model = imported(hostile.endless_loop())
    with pytest.raises(CommandError, match="longer than"):
        call_command("predict", model.token, str(tmp_path / "red.png"))
    out = tmp_path / "out.csv"
    with pytest.raises(CommandError, match="longer than"):
        call_command("predict", model.token, "--batch", str(tmp_path / "red.zip"), "--output", str(out))
    assert not out.exists()


@pytest.mark.parametrize("make", [imported, own])
def test_batch_of_a_model_that_breaks_limits_fails_with_the_reason(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_services, "announce", lambda batch: True)
    content = hostile.endless_loop()
    model = make(described(content) if make is own else content)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("red.png", RED)
    batch_services.create_batch(
        token=model.token, file=ContentFile(buffer.getvalue(), name="photos.zip"), owner=model.owner
    )
    batch = BatchAttempt.claim_next(worker="w", queue="batches")
    BatchAttempt(batch).carry_out()
    batch.refresh_from_db()
    assert batch.state == Batch.State.FAILED
    assert "longer than" in batch.message
    model.refresh_from_db()
    assert model.broken_limits == 1


def test_few_wait_for_models_from_outside_and_none_of_ours_waits_for_them(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "EXTERNAL_MODEL_SECONDS": 600, "PREDICTOR_SLOTS": 1}
    slow, ours = imported(colour_model()), own(colour_model())
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with services.external_semaphore().acquire():
            held.set()
            done.wait(30)

    waiting = [threading.Thread(target=lambda: _take_a_turn()) for _ in range(services.MOST_WAITING)]
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    for thread in waiting:
        thread.start()
    while len(services.external_semaphore()) < services.MOST_WAITING:
        done.wait(0.01)
    try:
        with pytest.raises(TooManyRequests):
            predict(token=slow.token, inputs=[RED])
        assert predict(token=ours.token, inputs=[RED]).predictions[0].label == "red"
    finally:
        done.set()
        for thread in (holder, *waiting):
            thread.join()
    assert predict(token=slow.token, inputs=[RED]).predictions[0].label == "red"


def _take_a_turn() -> None:
    with services.external_semaphore().acquire():
        pass


def test_sandbox_that_was_killed_while_idle_is_made_anew() -> None:
    model = imported(colour_model())
    predict(token=model.token, inputs=[RED])
    predictor = services.load_predictor(model)
    predictor.close()  # type: ignore[union-attr]
    assert predict(token=model.token, inputs=[RED]).predictions[0].label == "red"
    model.refresh_from_db()
    assert model.broken_limits == 0


def test_file_that_changed_in_the_bucket_is_not_run() -> None:
    from core.exceptions import BucketError

    model = imported(colour_model())
    RegisteredModel.objects.filter(pk=model.pk).update(unusable_because="")
    key = model.artifacts.get().key
    get_bucket().delete(key)
    get_bucket().save(key, BytesIO(colour_model("x")))
    with pytest.raises(BucketError):
        predict(token=model.token, inputs=[RED])
