import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bucket.folder import FolderBucket
from documents import background_publisher, keys
from documents.models import OutboxEntry
from documents.publish import publish_waiting
from models_registry.models import RegisteredModel
from tests.factories import RegisteredModelFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    background_publisher._publishers.clear()
    yield
    background_publisher.finish()
    background_publisher._publishers.clear()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that write inference.json."""
    put, threads = FolderBucket.put, []

    def note(self: FolderBucket, key: str, *arguments: Any, **options: Any) -> str:
        if key == keys.INFERENCE:
            threads.append(threading.current_thread().name)
        return put(self, key, *arguments, **options)

    monkeypatch.setattr(FolderBucket, "put", note)
    return threads


def test_small_document_is_there_when_the_request_ends(bucket: Path, writes: list[str]) -> None:
    publish_waiting()
    writes.clear()
    for _ in range(3):
        RegisteredModelFactory()
    assert writes == ["MainThread"] * 3


def test_large_document_is_written_once_for_a_burst(
    bucket: Path, writes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = UserFactory()
    publish_waiting()
    writes.clear()
    monkeypatch.setattr(background_publisher, "LARGE", 0)
    background_publisher._publisher(keys.INFERENCE)._rested_at = time.monotonic() + 1e6
    for _ in range(10):
        RegisteredModelFactory(owner=owner)
    assert writes == []
    assert OutboxEntry.objects.exists()
    background_publisher.finish()
    assert writes == [f"publish {keys.INFERENCE}"], "ten saves, one write"
    assert not OutboxEntry.objects.exists()


def test_thread_comes_back_for_what_came_while_it_wrote(
    bucket: Path, writes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = UserFactory()
    publish_waiting()
    writes.clear()
    monkeypatch.setattr(background_publisher, "LARGE", 0)
    for _ in range(20):
        RegisteredModelFactory(owner=owner)
    deadline = time.monotonic() + 20
    while OutboxEntry.objects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(set(RegisteredModel.objects.values_list("token", flat=True))) == 20
    assert (bucket / keys.INFERENCE).read_text().count('"task_type"') == 20
    assert len(writes) < 20
    assert set(writes) == {f"publish {keys.INFERENCE}"}


def test_thread_that_fails_leaves_the_changes_and_lives_on(
    bucket: Path, writes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_waiting()
    monkeypatch.setattr(background_publisher, "LARGE", 0)
    with monkeypatch.context() as broken:
        broken.setattr(FolderBucket, "put", lambda *_, **__: 1 / 0)
        RegisteredModelFactory()
        background_publisher.finish()
    assert OutboxEntry.objects.exists()
    RegisteredModelFactory()
    background_publisher.finish()
    assert not OutboxEntry.objects.exists()
