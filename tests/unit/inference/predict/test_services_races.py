"""A model that goes or changes while it is asked for: an answer of the right model, or a 404."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from bucket.factory import get_bucket
from control.models import CleanupPolicy
from documents.publish import publish
from inference.predict import services
from models_registry.models import Artifact, RegisteredModel
from models_registry.retention import clean_up
from models_registry.services import keep_model, restore_model, retire_model
from tests.tiny_models import colour_model, live_colour_model, picture

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4
RED = picture("red")
FORGETFUL = 0  # bytes: a cache that holds one model, so that others push it out


@pytest.fixture(autouse=True)
def small_cache(settings: Any) -> Iterator[None]:
    settings.TRAINYARD = {**settings.TRAINYARD, "PREDICTOR_CACHE_BYTES": FORGETFUL}
    services.predictor_cache.cache_clear()
    yield
    services.predictor_cache.cache_clear()


def ask(path: str) -> tuple[int, str]:
    """Ask once; returns the status, and the label where there is one."""
    client = Client(raise_request_exception=False)
    try:
        if "predict" in path:
            file = BytesIO(RED)
            file.name = "red.png"
            response = client.post(path, {"file": file})
            label = response.json()["predictions"][0]["label"] if response.status_code == 200 else ""
            return response.status_code, label
        response = client.get(path)
        content = b"".join(response.streaming_content) if response.streaming else b""  # type: ignore[arg-type]
        return response.status_code, hashlib.sha256(content).hexdigest() if content else ""
    finally:
        connection.close()


def while_asked(paths: list[str], change: Callable[[], None]) -> Counter[tuple[int, str]]:
    """Ask from some threads without a pause, change something meanwhile, and go on asking a while."""
    done, begun = threading.Event(), threading.Barrier(THREADS + 1)

    def keep_asking(number: int) -> list[tuple[int, str]]:
        answers = [ask(paths[number % len(paths)])]
        begun.wait(30)
        while not done.is_set():
            answers.append(ask(paths[number % len(paths)]))
        return [*answers, ask(paths[number % len(paths)])]

    with ThreadPoolExecutor(THREADS) as pool:
        asking = [pool.submit(keep_asking, number) for number in range(THREADS)]
        begun.wait(30)
        try:
            change()
        finally:
            done.set()
        return Counter(answer for one in asking for answer in one.result())


def expire_and_clean_up(model: RegisteredModel) -> None:
    RegisteredModel.objects.filter(pk=model.pk).update(expires_at=timezone.now())
    assert clean_up().deleted == [model.token]


def test_models_that_are_cleaned_up_while_they_are_asked_for() -> None:
    CleanupPolicy.load()
    publish("cleanup.json", force=True)
    for _ in range(3):
        model, other = live_colour_model(), live_colour_model()
        path = f"/api/v1/models/{model.token}/predict/"
        paths = [path, f"/api/v1/models/{other.token}/predict/", f"/models/{model.token}/", path]
        answers = while_asked(paths, lambda model=model: expire_and_clean_up(model))  # type: ignore[misc]
        assert set(answers) <= {(200, "red"), (200, ""), (404, "")}, answers
        assert answers[(404, "")]
        assert ask(path) == (404, "")


def test_models_that_expire_and_are_kept_while_they_are_asked_for() -> None:
    model = live_colour_model()
    path = f"/api/v1/models/{model.token}/predict/"

    def end_and_be_kept() -> None:
        for _ in range(5):
            RegisteredModel.objects.filter(pk=model.pk).update(expires_at=timezone.now())
            assert ask(path) == (404, "")
            keep_model(model=model, extra=timedelta(hours=1))
            assert ask(path) == (200, "red")

    answers = while_asked([path, f"/models/{model.token}/"], end_and_be_kept)
    assert {status for status, _ in answers} <= {200, 404}, answers
    assert {label for _, label in answers if len(label) != 64} <= {"red", ""}, answers


def test_models_that_are_retired_and_restored_while_they_are_asked_for() -> None:
    model = live_colour_model()

    def come_and_go() -> None:
        for _ in range(5):
            retire_model(model=model)
            restore_model(model=model)

    answers = while_asked([f"/api/v1/models/{model.token}/predict/"], come_and_go)
    assert set(answers) <= {(200, "red"), (404, "")}, answers
    assert ask(f"/api/v1/models/{model.token}/predict/") == (200, "red")


def replace_file(model: RegisteredModel, version: int) -> str:
    """Put another file in the model's place, as an edit of inference.json does, and delete the old one."""
    content = colour_model(f"version {version}")
    key, digest = f"{model.task_type}/{model.token}/{version}/model.onnx", hashlib.sha256(content).hexdigest()
    get_bucket().save(key, BytesIO(content))
    with transaction.atomic():
        old = Artifact.objects.select_for_update().get(model=model, kind="onnx")
        Artifact.objects.filter(pk=old.pk).update(key=key, size=len(content), sha256=digest)
    get_bucket().delete(old.key)
    return digest


def test_a_model_whose_file_is_replaced_while_it_is_asked_for() -> None:
    model = live_colour_model(downloadable=True)
    others = [live_colour_model() for _ in range(2)]  # they push each other out of memory
    digests = set(Artifact.objects.filter(model=model).values_list("sha256", flat=True))
    paths = [
        f"/api/v1/models/{token}/predict/" for token in (model.token, *(other.token for other in others))
    ]
    paths.append(f"/api/v1/models/{model.token}/download/?format=onnx")

    def replace_often() -> None:
        digests.update(replace_file(model, version) for version in range(2, 8))

    answers = while_asked(paths, replace_often)
    files = {label for status, label in answers if len(label) == 64}
    assert files <= digests
    assert {answer for answer in answers if answer[1] not in files} <= {(200, "red"), (404, "")}, answers


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda model: expire_and_clean_up(model), (404, "")),
        (lambda model: replace_file(model, 2), (200, "red")),
    ],
    ids=["deleted", "replaced"],
)
def test_a_model_that_changes_between_being_found_and_being_loaded(
    change: Callable[[RegisteredModel], None], answer: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    CleanupPolicy.load()
    publish("cleanup.json", force=True)
    model, fetch, changed = live_colour_model(), services._fetch, threading.Event()

    def fetch_late(served: Any) -> bytes:
        if not changed.is_set():
            changed.set()
            change(model)
        return fetch(served)

    monkeypatch.setattr(services, "_fetch", fetch_late)
    assert ask(f"/api/v1/models/{model.token}/predict/") == answer
    assert changed.is_set()


def test_a_file_that_is_gone_although_its_model_is_live_is_our_fault() -> None:
    model = live_colour_model()
    get_bucket().delete(Artifact.objects.get(model=model).key)
    assert ask(f"/api/v1/models/{model.token}/predict/") == (503, "")
