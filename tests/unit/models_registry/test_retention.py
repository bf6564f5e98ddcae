import json
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from bucket.factory import get_bucket
from bucket.folder import FolderBucket
from control.models import PlatformStatus
from core.exceptions import BucketError, InvalidRequest
from documents import keys
from documents.publish import publish_waiting
from models_registry.models import RegisteredModel
from models_registry.retention import UnreadablePolicy, clean_up
from models_registry.services import keep_model, restore_model, retire_model
from tests.factories import ArtifactFactory, RegisteredModelFactory
from tests.tiny_models import colour_model, live_colour_model

pytestmark = pytest.mark.django_db(transaction=True)

State = RegisteredModel.State


@pytest.fixture(autouse=True)
def documents(bucket: Path) -> None:
    publish_waiting()


def make(*, age_of_expiry: timedelta | None, **fields: Any) -> RegisteredModel:
    """A model with a file, that expired so long ago (negative: that will)."""
    expires_at = None if age_of_expiry is None else timezone.now() - age_of_expiry
    artifact = ArtifactFactory(model=RegisteredModelFactory(expires_at=expires_at, **fields))
    get_bucket().save(artifact.key, BytesIO(b"abc"))
    return artifact.model


def state(model: RegisteredModel) -> str:
    model.refresh_from_db()
    return model.state


def files(bucket: Path, model: RegisteredModel) -> int:
    return sum(path.is_file() for path in bucket.glob(f"*/{model.token}/**/*"))


def test_expired_model_leaves_document_files_and_registry(bucket: Path) -> None:
    model = make(age_of_expiry=timedelta(seconds=1))
    report = clean_up()
    assert report.deleted == [model.token]
    assert report.bytes == 3
    assert state(model) == State.DELETED
    assert files(bucket, model) == 0
    assert json.loads((bucket / keys.INFERENCE).read_text()) == {}


@pytest.mark.parametrize(
    ("age", "fields"),
    [
        (timedelta(minutes=-1), {}),
        (None, {}),
        (timedelta(days=30), {"pinned": True}),
    ],
)
def test_model_that_may_stay_stays(bucket: Path, age: timedelta | None, fields: dict[str, Any]) -> None:
    model = make(age_of_expiry=age, **fields)
    assert clean_up().deleted == []
    assert state(model) == State.LIVE
    assert files(bucket, model) == 1


def test_dry_run_changes_nothing(bucket: Path) -> None:
    model = make(age_of_expiry=timedelta(hours=1))
    report = clean_up(dry_run=True)
    assert (report.deleted, report.bytes) == ([model.token], 3)
    assert state(model) == State.LIVE
    assert files(bucket, model) == 1


@pytest.mark.parametrize("body", ['{"status": "sleeping"}', None])
def test_document_that_does_not_say_active_stops_it(bucket: Path, body: str | None) -> None:
    model = make(age_of_expiry=timedelta(hours=1))
    (bucket / keys.CLEANUP).unlink() if body is None else (bucket / keys.CLEANUP).write_text(body)
    report = clean_up()
    assert report.reason
    assert state(model) == State.LIVE


@pytest.mark.parametrize("body", ["", "[]", '{"status": "Active"}', "{", '{"state": "active"}'])
def test_unreadable_document_deletes_nothing_and_exits_non_zero(bucket: Path, body: str) -> None:
    model = make(age_of_expiry=timedelta(hours=1))
    (bucket / keys.CLEANUP).write_text(body)
    with pytest.raises(UnreadablePolicy):
        clean_up()
    with pytest.raises(CommandError, match=r"cleanup\.json"):
        call_command("cleanup")
    assert state(model) == State.LIVE


def test_maintenance_mode_stops_it() -> None:
    model = make(age_of_expiry=timedelta(hours=1))
    PlatformStatus(dev_mode=True).save()
    assert "maintenance" in clean_up().reason
    assert state(model) == State.LIVE


def test_retired_model_is_deleted_and_until_then_restored(bucket: Path) -> None:
    gone, kept = make(age_of_expiry=timedelta(hours=-1)), make(age_of_expiry=timedelta(minutes=5))
    retire_model(model=gone)
    retire_model(model=kept)
    assert json.loads((bucket / keys.INFERENCE).read_text()) == {}
    restore_model(model=kept)
    assert list(json.loads((bucket / keys.INFERENCE).read_text())) == [kept.token]
    assert clean_up().deleted == [gone.token]
    assert state(kept) == State.LIVE


@pytest.mark.parametrize("what", ["gone", "another"])
def test_model_whose_files_are_gone_is_not_restored(what: str) -> None:
    model = live_colour_model()
    retire_model(model=model)
    key = model.artifacts.get().key
    get_bucket().delete(key)
    if what == "another":
        get_bucket().save(key, BytesIO(b"another file"))
    with pytest.raises(InvalidRequest, match=r"Colours cannot be restored: .*\(ONNX\)"):
        restore_model(model=model)
    assert state(model) == State.RETIRED
    get_bucket().delete(key)
    get_bucket().save(key, BytesIO(colour_model(str(model.public_id))))
    model.artifacts.update(size=get_bucket().size(key))
    restore_model(model=model)
    assert state(model) == State.LIVE


def test_model_is_not_restored_while_the_bucket_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    model = live_colour_model()
    retire_model(model=model)

    def refuse(bucket: FolderBucket, key: str) -> int:
        raise BucketError("no answer")

    monkeypatch.setattr(FolderBucket, "size", refuse)
    with pytest.raises(BucketError):
        restore_model(model=model)
    assert state(model) == State.RETIRED


@pytest.mark.parametrize("expires", ["2026-01-02", "2026-01-30", "9999-12-31"])
def test_no_model_is_kept_beyond_the_limit(expires: str) -> None:
    moment = datetime.fromisoformat(f"{expires}T23:00:00Z")
    with time_machine.travel("2026-01-01T23:00:00Z", tick=False):
        model = RegisteredModelFactory(expires_at=moment)
        with pytest.raises(InvalidRequest, match="30 days from now at most"):
            keep_model(model=model, extra=timedelta(days=30, seconds=1))
        model.refresh_from_db()
        assert model.expires_at == moment


def test_kept_model_outlives_its_time() -> None:
    model = make(age_of_expiry=timedelta(seconds=1))
    keep_model(model=model, extra=timedelta(hours=1))
    assert clean_up().deleted == []


@pytest.mark.parametrize("step", ["publish_or_raise", "_delete_files"])
def test_crash_at_each_step_is_finished_by_the_next_run(
    bucket: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    model = make(age_of_expiry=timedelta(hours=1))

    def crash(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as broken:
        broken.setattr(f"models_registry.retention.{step}", crash)
        with pytest.raises(SystemExit):
            clean_up()
    assert state(model) == State.DELETING
    assert clean_up().deleted == [model.token]
    assert files(bucket, model) == 0
    assert clean_up().deleted == []


def test_file_that_cannot_be_deleted_is_reported_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, other = make(age_of_expiry=timedelta(hours=2)), make(age_of_expiry=timedelta(hours=1))
    delete = FolderBucket.delete

    def refuse(self: FolderBucket, name: str) -> None:
        if stuck.token in name:
            raise BucketError("read-only")
        delete(self, name)

    with monkeypatch.context() as broken:
        broken.setattr(FolderBucket, "delete", refuse)
        with pytest.raises(CommandError, match="1 models could not be deleted"):
            call_command("cleanup")
    assert state(other) == State.DELETED
    assert clean_up().deleted == [stuck.token]


def test_command_prints_one_json_object_last() -> None:
    model = make(age_of_expiry=timedelta(hours=1))
    out = StringIO()
    call_command("cleanup", "--dry-run", "--json", stdout=out)
    last = json.loads(out.getvalue().splitlines()[-1])
    assert last["dry_run"] is True
    assert last["deleted"] == [model.token]


def test_expired_model_of_25_hours_is_older_than_a_day() -> None:
    model = make(age_of_expiry=timedelta(hours=23), live_at=timezone.now() - timedelta(hours=25))
    assert clean_up().deleted == [model.token]
