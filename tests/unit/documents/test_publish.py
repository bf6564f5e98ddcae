import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bucket.factory import get_bucket
from bucket.folder import FolderBucket
from control.models import CleanupPolicy, PlatformStatus
from core.exceptions import BucketError
from documents import keys
from documents.drift import check_documents, repair_documents
from documents.models import Document, OutboxEntry, OverruledChange
from documents.publish import Outcome, publish, publish_or_raise, publish_waiting
from models_registry.models import RegisteredModel
from tests.factories import ArtifactFactory, RegisteredModelFactory

pytestmark = pytest.mark.django_db(transaction=True)


def read(bucket: Path, key: str) -> Any:
    return json.loads((bucket / key).read_bytes())


def break_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BucketError("The S3 server did not answer.")

    monkeypatch.setattr(FolderBucket, "put", refuse)


def test_first_publish_creates_the_seeds_initial_content(bucket: Path) -> None:
    publish_waiting()
    assert read(bucket, keys.STATUS) == {
        "status": "sleeping",
        "token": "",
        "task_type": "",
        "dev_mode": False,
    }
    assert read(bucket, keys.CLEANUP) == {"status": "active"}
    assert read(bucket, keys.INFERENCE) == {}
    assert not (bucket / keys.TRAINING).exists()


def test_saving_a_model_publishes_its_entry(bucket: Path) -> None:
    model = ArtifactFactory(kind="onnx").model
    ArtifactFactory(model=model, kind="torchscript")
    entry = read(bucket, keys.INFERENCE)[model.token]
    assert entry["classes"] == ["daisy", "iris"]
    assert entry["model_filename_onnx"].endswith("model.onnx")
    assert entry["model_filename"].endswith("model.torchscript")
    assert entry["accuracy"] == 96.25
    assert not OutboxEntry.objects.exists()


def test_deleting_a_model_removes_its_entry(bucket: Path) -> None:
    model = RegisteredModelFactory()
    other = RegisteredModelFactory()
    model.delete()
    assert list(read(bucket, keys.INFERENCE)) == [other.token]


def test_rolled_back_change_is_not_published(bucket: Path) -> None:
    publish_waiting()
    with pytest.raises(RuntimeError), transaction.atomic():
        RegisteredModelFactory()
        raise RuntimeError
    assert read(bucket, keys.INFERENCE) == {}
    assert not OutboxEntry.objects.exists()


def test_change_in_a_rolled_back_savepoint_does_not_hide_a_later_one(bucket: Path) -> None:
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            RegisteredModelFactory()
            raise RuntimeError
        kept = RegisteredModelFactory()
    assert list(read(bucket, keys.INFERENCE)) == [kept.token]


def test_burst_in_one_transaction_is_one_write(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    put = FolderBucket.put
    monkeypatch.setattr(
        FolderBucket, "put", lambda self, key, *a, **k: writes.append(key) or put(self, key, *a, **k)
    )
    with transaction.atomic():
        for _ in range(30):
            RegisteredModelFactory()
    assert writes == [keys.INFERENCE]
    assert len(read(bucket, keys.INFERENCE)) == 30


def test_foreign_entries_and_keys_survive(bucket: Path) -> None:
    model = RegisteredModelFactory()
    document = read(bucket, keys.INFERENCE)
    document["theirs"] = {"task_type": "imageclassification"}
    document[model.token]["note"] = "kept"
    (bucket / keys.INFERENCE).write_text(json.dumps(document))
    model.downloadable = False
    model.save()
    document = read(bucket, keys.INFERENCE)
    assert document["theirs"] == {"task_type": "imageclassification"}
    assert document[model.token]["note"] == "kept"
    assert document[model.token]["downloadable"] is False


def test_outside_edit_just_before_our_write_survives(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RegisteredModelFactory()
    put, edits = FolderBucket.put, []

    def edit_then_put(self: FolderBucket, key: str, body: bytes, *, if_match: str | None) -> str:
        if key == keys.INFERENCE and len(edits) < 3:
            document = {**read(bucket, key), f"theirs{len(edits)}": {"task_type": "?"}}
            edits.append(put(self, key, json.dumps(document).encode(), if_match=self.head(key)))
        return put(self, key, body, if_match=if_match)

    monkeypatch.setattr(FolderBucket, "put", edit_then_put)
    model = RegisteredModelFactory()
    assert {"theirs0", "theirs1", "theirs2", model.token} <= set(read(bucket, keys.INFERENCE))


def test_publishing_without_outside_edits_reads_nothing(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RegisteredModelFactory()

    def refuse(*_: object) -> None:
        raise AssertionError("nobody else has written")

    monkeypatch.setattr(FolderBucket, "get", refuse)
    models = [RegisteredModelFactory() for _ in range(3)]
    assert {model.token for model in models} < set(read(bucket, keys.INFERENCE))


def test_missing_document_is_written_whole_with_what_others_had_in_it(bucket: Path) -> None:
    models = [RegisteredModelFactory() for _ in range(3)]
    document = {**read(bucket, keys.INFERENCE), "theirs": {"task_type": "?"}, "other": 1}
    document[models[0].token]["note"] = "kept"
    (bucket / keys.INFERENCE).write_text(json.dumps(document))
    publish_waiting()
    (bucket / keys.INFERENCE).unlink()
    publish_waiting()
    assert read(bucket, keys.INFERENCE) == document


@pytest.mark.parametrize(
    "entry",
    [
        '{"a": "\\ud800"}',
        '{"a": "\\u0000"}',
        '"text"',
        "[]",
        "123456789012345678901234567890",
    ],
)
@pytest.mark.parametrize("token", ["plain", "\\u0000", "\\ud83d", "#1", "a/b c", "x" * 300, ""])
def test_strange_entries_of_others_survive_our_writes(bucket: Path, token: str, entry: str) -> None:
    RegisteredModelFactory()
    body = (bucket / keys.INFERENCE).read_text().rstrip()[:-1] + f', "{token}": {entry}}}'
    (bucket / keys.INFERENCE).write_text(body)
    before = json.loads(body)
    publish_waiting()
    model = RegisteredModelFactory()
    after = read(bucket, keys.INFERENCE)
    assert after.pop(model.token)
    assert after == before
    publish_waiting()
    assert not OutboxEntry.objects.exists()
    assert [drift.problems for drift in check_documents() if drift.key == keys.INFERENCE] == [()]


def test_change_that_both_made_is_ours_and_the_loser_is_kept(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RegisteredModelFactory(accuracy=90)
    document = read(bucket, keys.INFERENCE)
    document[model.token]["accuracy"] = 10.0
    (bucket / keys.INFERENCE).write_text(json.dumps(document))
    model.accuracy = 95
    model.save()
    model.refresh_from_db()
    assert model.accuracy == 95
    assert read(bucket, keys.INFERENCE)[model.token]["accuracy"] == 95
    lost = OverruledChange.objects.get()
    assert (lost.entry, lost.field, json.loads(lost.value), lost.winner) == (
        model.token,
        "accuracy",
        10.0,
        "database",
    )


def test_writer_whose_lease_was_taken_notes_nothing(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_waiting()
    put = FolderBucket.put

    def be_replaced(self: FolderBucket, key: str, body: bytes, *, if_match: str | None) -> str:
        etag = put(self, key, body, if_match=if_match)
        Document.objects.filter(key=key).update(writer="another")
        return etag

    with monkeypatch.context() as patched:
        patched.setattr(FolderBucket, "put", be_replaced)
        model = RegisteredModelFactory()
    assert OutboxEntry.objects.filter(entry=model.token).exists()
    Document.objects.update(writer="", writer_until=None)
    assert publish(keys.INFERENCE) is Outcome.CLEAN
    assert list(read(bucket, keys.INFERENCE)) == [model.token]
    assert not OverruledChange.objects.exists()


def test_bucket_down_commits_and_reconciling_catches_up(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_waiting()
    with monkeypatch.context() as broken:
        break_bucket(broken)
        model = RegisteredModelFactory()
    assert RegisteredModel.objects.filter(pk=model.pk).exists()
    assert "did not answer" in Document.objects.get(key=keys.INFERENCE).last_error
    assert publish(keys.INFERENCE) is Outcome.FAILED, "it rests for a moment after a failure"
    Document.objects.update(failed_at=timezone.now() - timedelta(minutes=1))
    assert publish_waiting()[keys.INFERENCE] == "clean"
    assert list(read(bucket, keys.INFERENCE)) == [model.token]
    assert Document.objects.get(key=keys.INFERENCE).last_error == ""


def test_publish_or_raise_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_waiting()
    break_bucket(monkeypatch)
    RegisteredModelFactory()
    with pytest.raises(BucketError, match="did not answer"):
        publish_or_raise(keys.INFERENCE)


def test_landed_write_whose_answer_was_lost_is_recognised(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bucket.base import Conflict

    publish_waiting()
    put, lost = FolderBucket.put, []

    def put_and_lose(self: FolderBucket, key: str, body: bytes, *, if_match: str | None) -> str:
        etag = put(self, key, body, if_match=if_match)
        if key == keys.INFERENCE and not lost:
            lost.append(etag)
            raise Conflict(key)
        return etag

    monkeypatch.setattr(FolderBucket, "put", put_and_lose)
    model = RegisteredModelFactory()
    assert list(read(bucket, keys.INFERENCE)) == [model.token]
    assert Document.objects.get(key=keys.INFERENCE).etag == lost[0]


def test_writer_that_died_is_replaced_after_its_lease(bucket: Path) -> None:
    publish_waiting()
    Document.objects.filter(key=keys.INFERENCE).update(
        writer="dead", writer_until=timezone.now() + timedelta(minutes=1)
    )
    model = RegisteredModelFactory()
    assert publish(keys.INFERENCE) is Outcome.BUSY
    Document.objects.update(writer_until=timezone.now() - timedelta(seconds=1))
    assert publish(keys.INFERENCE) is Outcome.CLEAN
    assert list(read(bucket, keys.INFERENCE)) == [model.token]


def test_threads_saving_at_once_lose_nothing(bucket: Path) -> None:
    publish_waiting()

    def save(count: int) -> None:
        try:
            for _ in range(count):
                RegisteredModelFactory()
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(5,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tokens = set(RegisteredModel.objects.values_list("token", flat=True))
    assert len(tokens) == 20
    assert set(read(bucket, keys.INFERENCE)) == tokens
    assert not OutboxEntry.objects.exists()


def test_unreadable_document_is_quarantined_and_left_alone(bucket: Path) -> None:
    (bucket / keys.INFERENCE).write_text("{half a docu")
    RegisteredModelFactory()
    assert (bucket / keys.INFERENCE).read_text() == "{half a docu"
    copies = list((bucket / "quarantine").glob("inference.json.*"))
    assert [copy.read_text() for copy in copies] == ["{half a docu"]
    publish_waiting()
    assert len(list((bucket / "quarantine").iterdir())) == 1, "one copy of a version is enough"
    assert "--repair" in Document.objects.get(key=keys.INFERENCE).last_error


@pytest.mark.parametrize("body", ["[]", "", "null", '{"a": NaN}', "[" * 100_000, '{"a": 1e400}'])
def test_repair_replaces_an_unreadable_document(bucket: Path, body: str) -> None:
    first = RegisteredModelFactory()
    (bucket / keys.INFERENCE).write_text(body)
    model = RegisteredModelFactory()
    assert (bucket / keys.INFERENCE).read_text() == body
    assert RegisteredModel.objects.live().count() == 2, "it is never taken as empty"
    repair_documents()
    assert list(read(bucket, keys.INFERENCE)) == [first.token, model.token]


def test_operators_dev_mode_in_the_document_switches_the_platform(bucket: Path) -> None:
    publish_waiting()
    document = read(bucket, keys.STATUS)
    (bucket / keys.STATUS).write_text(json.dumps({**document, "dev_mode": True, "theirs": 1}))
    publish_waiting()
    assert PlatformStatus.load().dev_mode is True
    assert read(bucket, keys.STATUS) == {**document, "dev_mode": True, "theirs": 1}


def test_looking_again_writes_nothing(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_waiting()
    before = list(Document.objects.values_list("key", "revision", "published_at"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing has changed")

    monkeypatch.setattr(FolderBucket, "put", refuse)
    publish_waiting()
    assert list(Document.objects.values_list("key", "revision", "published_at")) == before


def test_invalid_value_of_an_operator_is_not_taken(bucket: Path) -> None:
    publish_waiting()
    (bucket / keys.CLEANUP).write_text('{"status": "perhaps"}')
    publish(keys.CLEANUP, force=True)
    assert CleanupPolicy.load().status == "active"
    assert read(bucket, keys.CLEANUP) == {"status": "active"}


def test_switch_in_the_database_reaches_the_document(bucket: Path) -> None:
    publish_waiting()
    policy = CleanupPolicy.load()
    policy.status = CleanupPolicy.Status.SLEEPING
    policy.save()
    assert read(bucket, keys.CLEANUP) == {"status": "sleeping"}


def test_check_finds_drift_and_repair_mends_it(bucket: Path) -> None:
    publish_waiting()
    artifact = ArtifactFactory()
    model, path = artifact.model, bucket / artifact.key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"123")
    assert not any(drift.problems for drift in check_documents())
    (bucket / keys.INFERENCE).write_text("{}")
    (bucket / keys.STATUS).write_text('{"status": "active"}')
    wrong = {drift.key for drift in check_documents() if drift.problems}
    assert wrong == {keys.INFERENCE, keys.STATUS}
    repair_documents()
    assert not any(drift.problems for drift in check_documents())
    assert list(read(bucket, keys.INFERENCE)) == [model.token]


def test_check_compares_files_with_the_registry(bucket: Path) -> None:
    publish_waiting()
    artifacts = [ArtifactFactory() for _ in range(2)]
    for artifact, body in zip(artifacts, (b"123", b"12"), strict=True):
        (bucket / artifact.key).parent.mkdir(parents=True)
        (bucket / artifact.key).write_bytes(body)
    missing = ArtifactFactory()
    (bucket / "textclassification").mkdir()
    (bucket / "textclassification" / "left").write_bytes(b"?")
    assert check_documents()[-1].problems == (
        f"{missing.key} is missing",
        f"{artifacts[1].key} has 2 bytes and not 3",
        "textclassification/left belongs to nothing",
    )


def test_other_bucket_with_documents_of_its_own_retires_nothing(
    bucket: Path, tmp_path: Path, settings: Any
) -> None:
    model = RegisteredModelFactory()
    other = tmp_path / "other"
    other.mkdir()
    (other / keys.INFERENCE).write_text('{"theirs": {"task_type": "?"}}')
    settings.BUCKET_FOLDER = other
    get_bucket.cache_clear()
    publish_waiting()
    model.refresh_from_db()
    assert model.is_live
    assert set(read(other, keys.INFERENCE)) == {model.token, "theirs"}


def test_one_document_that_crashes_does_not_keep_the_others(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr("control.projections.CleanupProjection.render", crash)
        outcomes = publish_waiting()
    assert outcomes == {
        keys.STATUS: "clean",
        keys.CLEANUP: "failed",
        keys.TRAINING: "clean",
        keys.INFERENCE: "clean",
    }
    assert "a bug" in Document.objects.get(key=keys.CLEANUP).last_error
    assert publish_waiting()[keys.CLEANUP] == "clean", "it has let go of the document"


def test_document_that_was_right_from_the_start_is_not_read_again(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / keys.INFERENCE).write_text("{}")
    publish_waiting()
    assert Document.objects.get(key=keys.INFERENCE).revision == 0

    def refuse(self: FolderBucket, key: str) -> None:
        assert key != keys.INFERENCE, "its ETag says that nothing has changed"

    monkeypatch.setattr(FolderBucket, "get", refuse)
    publish(keys.INFERENCE, force=True)
    assert Document.objects.get(key=keys.INFERENCE).last_error == ""
