"""Writes that land without our knowing, and writers that meet: what must not come of it.

A write lands unnoticed when its answer is lost and every retry fails, or when the process is killed
between the PUT and the transaction that notes it. What we then find in the bucket is ours, and must not
pass for an edit of somebody else.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from bucket.base import Conflict
from bucket.folder import FolderBucket
from control.models import PlatformStatus
from core.exceptions import BucketError
from documents import background_publisher, document_writer, keys, publish
from documents.models import Document, OutboxEntry, OverruledChange
from documents.publish import Outcome, publish_waiting
from models_registry.models import RegisteredModel
from models_registry.services import restore_model, retire_model
from tests.factories import ArtifactFactory, RegisteredModelFactory

pytestmark = pytest.mark.django_db(transaction=True)

LIVE = RegisteredModel.State.LIVE


class Killed(BaseException):
    """The process ends here, as far as the rest of it is concerned."""


@pytest.fixture(
    params=[BucketError("The S3 server did not answer."), Killed()], ids=["answer-lost", "killed"]
)
def unnoticed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A context in which writes land and nobody here learns of it."""
    put = FolderBucket.put

    def put_and_fail(*arguments: Any, **options: Any) -> str:
        put(*arguments, **options)
        raise request.param

    @contextlib.contextmanager
    def context() -> Iterator[None]:
        with monkeypatch.context() as broken:
            broken.setattr(FolderBucket, "put", put_and_fail)
            with contextlib.suppress(Killed):
                yield
        # It has rested after the failure; or the dead process's lease is over.
        Document.objects.update(failed_at=None, writer="", writer_until=None)

    return context


@contextlib.contextmanager
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The bucket is down: what is committed now waits."""

    def refuse(*_: object, **__: object) -> None:
        raise BucketError("The S3 server did not answer.")

    with monkeypatch.context() as broken:
        for name in ("put", "get", "head"):
            broken.setattr(FolderBucket, name, refuse)
        yield


def read(bucket: Path, key: str = keys.INFERENCE) -> Any:
    return json.loads((bucket / key).read_bytes())


def edit(bucket: Path, key: str, **changes: Any) -> None:
    """Change top-level keys, as others do."""
    (bucket / key).write_text(json.dumps({**read(bucket, key), **changes}))


def test_deleted_model_does_not_come_back(
    bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_waiting()
    with unnoticed():
        RegisteredModelFactory(token="t")
    assert "t" in read(bucket)
    with away(monkeypatch):
        RegisteredModel.objects.get(token="t").delete()
    publish_waiting()
    assert not RegisteredModel.objects.exists()
    assert read(bucket) == {}
    assert not OverruledChange.objects.exists()


def test_deleted_model_that_others_wrote_a_note_to_does_not_come_back(
    bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_waiting()
    with unnoticed():
        RegisteredModelFactory(token="t")
    edit(bucket, keys.INFERENCE, t={**read(bucket)["t"], "note": "theirs"})
    with away(monkeypatch):
        RegisteredModel.objects.get(token="t").delete()
    publish_waiting()
    assert not RegisteredModel.objects.exists()
    assert read(bucket) == {}


def test_restored_model_is_not_retired_again(
    bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RegisteredModelFactory(token="t")
    with unnoticed():
        retire_model(model=model)
    assert read(bucket) == {}
    with away(monkeypatch):
        restore_model(model=model)
    publish_waiting()
    assert RegisteredModel.objects.get(token="t").state == LIVE
    assert list(read(bucket)) == ["t"]
    assert not OverruledChange.objects.exists()


def test_change_that_landed_is_no_edit_of_others(
    bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RegisteredModelFactory(token="t", accuracy=30)
    with unnoticed():
        model.accuracy = 31
        model.save()
    with away(monkeypatch):
        model.accuracy = 32
        model.save()
    publish_waiting()
    assert read(bucket)["t"]["accuracy"] == 32
    assert not OverruledChange.objects.exists(), "it had no conflict with itself"


@pytest.mark.parametrize("others", [{}, {"note": "theirs"}])
def test_change_taken_back_stays_taken_back(
    bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch, others: dict[str, Any]
) -> None:
    model = RegisteredModelFactory(token="t", downloadable=True)
    with unnoticed():
        model.downloadable = False
        model.save()
    edit(bucket, keys.INFERENCE, t={**read(bucket)["t"], **others})
    with away(monkeypatch):
        model.downloadable = True
        model.save()
    publish_waiting()
    model.refresh_from_db()
    assert model.downloadable is True
    assert read(bucket)["t"]["downloadable"] is True
    assert read(bucket)["t"].get("note") == others.get("note")
    assert not OverruledChange.objects.exists()


def test_others_entry_beside_an_unnoticed_write_is_taken_in(bucket: Path, unnoticed: Any) -> None:
    publish_waiting()
    with unnoticed():
        RegisteredModelFactory(token="t")
    entry = {**read(bucket)["t"], "model_filename": "", "model_filename_onnx": "imageclassification/x.onnx"}
    edit(bucket, keys.INFERENCE, imported=entry)
    publish_waiting()
    assert set(read(bucket)) == {"t", "imported"}
    assert set(RegisteredModel.objects.live().values_list("token", flat=True)) == {"t", "imported"}


def test_others_removal_of_an_unnoticed_entry_retires_its_model(bucket: Path, unnoticed: Any) -> None:
    """It landed, somebody removed it: what we would see without the loss is what happens."""
    RegisteredModelFactory(token="other")
    with unnoticed():
        model = RegisteredModelFactory(token="t")
        ArtifactFactory(model=model)
    document = read(bucket)
    del document["other"]
    (bucket / keys.INFERENCE).write_text(json.dumps(document))
    publish_waiting()
    assert list(read(bucket)) == ["t"]
    assert RegisteredModel.objects.get(token="other").state == RegisteredModel.State.RETIRED
    assert RegisteredModel.objects.get(token="t").state == LIVE


def test_switch_put_back_stays_put_back(
    bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_waiting()
    status = PlatformStatus.load()
    with unnoticed():
        status.dev_mode = True
        status.save()
    assert read(bucket, keys.STATUS)["dev_mode"] is True
    with away(monkeypatch):
        status.dev_mode = False
        status.save()
    publish_waiting()
    assert PlatformStatus.load().dev_mode is False, "the operator's last word"
    assert read(bucket, keys.STATUS)["dev_mode"] is False
    assert not OverruledChange.objects.exists()


def test_two_unnoticed_writes_in_a_row(bucket: Path, unnoticed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_waiting()
    with unnoticed():
        RegisteredModelFactory(token="first")
    with unnoticed():
        RegisteredModelFactory(token="second")
    publish.publish(keys.INFERENCE, force=True) if "second" not in read(bucket) else None
    with away(monkeypatch):
        RegisteredModel.objects.all().delete()
    publish_waiting()
    assert not RegisteredModel.objects.exists()
    assert read(bucket) == {}


def test_refused_write_leaves_nothing_behind(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced and not written: somebody else was first. Their entries are theirs."""
    publish_waiting()
    put, met = FolderBucket.put, []

    def meet(self: FolderBucket, key: str, body: bytes, *, if_match: str | None) -> str:
        if key == keys.INFERENCE and not met:
            met.append(key)
            edit(bucket, key, theirs={"task_type": "unknown"})
            raise Conflict(key)
        return put(self, key, body, if_match=if_match)

    monkeypatch.setattr(FolderBucket, "put", meet)
    RegisteredModelFactory(token="t")
    assert set(read(bucket)) == {"t", "theirs"}
    assert not OverruledChange.objects.exists()
    assert Document.objects.get(key=keys.INFERENCE).revision == 2


def test_long_write_keeps_its_lease(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large document on a slow line: nobody takes over, and starts the same again, in the middle."""
    publish_waiting()
    monkeypatch.setattr(document_writer, "WRITER_LEASE", timedelta(seconds=0.4))
    monkeypatch.setattr(publish, "WRITER_LEASE", timedelta(seconds=0.4))
    put, outcomes = FolderBucket.put, []

    def put_slowly(self: FolderBucket, key: str, body: bytes, *, if_match: str | None) -> str:
        row = Document.objects.get(key=key)
        assert row.writer_until is not None
        deadline = time.monotonic() + 10
        while Document.objects.get(key=key).writer_until <= row.writer_until + timedelta(seconds=0.4):
            assert time.monotonic() < deadline, "the lease is not renewed"
            time.sleep(0.02)
        return put(self, key, body, if_match=if_match)

    def save() -> None:
        try:
            RegisteredModelFactory(token="t")
        finally:
            connection.close()

    monkeypatch.setattr(FolderBucket, "put", put_slowly)
    thread = threading.Thread(target=save)
    thread.start()
    while thread.is_alive():
        outcomes.append(publish.publish(keys.INFERENCE))
        time.sleep(0.02)
    thread.join()
    assert set(outcomes) <= {Outcome.BUSY, Outcome.CLEAN}
    assert list(read(bucket)) == ["t"]
    assert Document.objects.get(key=keys.INFERENCE).last_error == ""


def test_turn_that_ends_leaves_nothing_to_nobody(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves while another one writes returns at once: the other one has to see to it."""
    publish_waiting()
    monkeypatch.setattr(background_publisher, "TURN", 0.0)
    put, saved = FolderBucket.put, []

    def put_and_be_met(self: FolderBucket, key: str, body: bytes, *, if_match: str | None) -> str:
        if key == keys.INFERENCE and not saved:
            saved.append(key)
            thread = threading.Thread(target=save_another)
            thread.start()
            thread.join()
        return put(self, key, body, if_match=if_match)

    def save_another() -> None:
        try:
            RegisteredModelFactory(token="second")
        finally:
            connection.close()

    monkeypatch.setattr(FolderBucket, "put", put_and_be_met)
    RegisteredModelFactory(token="first")
    background_publisher.finish()
    assert set(read(bucket)) == {"first", "second"}
    assert not OutboxEntry.objects.exists()
