"""Batches without a broker: what a worker does with a row, and what is left when it dies."""

import csv
import io
import json
import tarfile
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from bucket.factory import get_bucket
from control.models import PlatformStatus
from core.exceptions import InvalidRequest, MaintenanceMode, StaleAttempt
from inference.batches import attempts, files, services
from inference.batches.attempts import BatchAttempt
from inference.batches.models import Batch
from inference.batches.reconcile import delete_expired_batches
from inference.batches.sources import ImageSource
from inference.predict.lookup import UnknownModel
from inference.predict.services import predict
from models_registry.models import RegisteredModel
from tests.factories import DatasetValidationFactory
from tests.tiny_models import COLOURS, live_colour_model, live_mood_model, picture
from work import attempt as work_attempt
from work import queue, transitions

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    announced: list[int] = []
    for place in (services, work_attempt, queue):
        monkeypatch.setattr(place, "announce", lambda work: announced.append(work.pk) or True)
    return announced


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageSource, "at_once", 4)


@pytest.fixture
def model() -> RegisteredModel:
    return live_colour_model()


def archive(entries: dict[str, bytes]) -> ContentFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in entries.items():
            zipped.writestr(name, content)
    return ContentFile(buffer.getvalue(), name="photos.zip")


def colours(count: int) -> ContentFile:
    return archive({f"{number:03}.png": picture(COLOURS[number % 3]) for number in range(count)})


@pytest.mark.parametrize("kind", ["tar.gz", "zips"])
def test_images_come_in_other_archives_too(model: RegisteredModel, kind: str) -> None:
    buffer = io.BytesIO()
    if kind == "zips":
        with zipfile.ZipFile(buffer, "w") as target:
            target.writestr("one.zip", colours(6).read())
    else:
        with zipfile.ZipFile(colours(6)) as source, tarfile.open(fileobj=buffer, mode="w:gz") as target:
            for name in source.namelist():
                info = tarfile.TarInfo(name)
                info.size = source.getinfo(name).file_size
                target.addfile(info, source.open(name))
    file = ContentFile(buffer.getvalue(), name="photos.zip" if kind == "zips" else "photos.tar.gz")
    batch = services.create_batch(token=model.token, file=file)
    assert (batch.total, batch.suffix, batch.source_name) == (6, ".zip", file.name)
    assert run_next().state == Batch.State.SUCCEEDED


def test_other_archives_that_hold_too_much_for_a_moment_are_refused(
    model: RegisteredModel, settings: Any
) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "VALIDATE_IN_WEB_BYTES": 10}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("one.zip", colours(6).read())
    with pytest.raises(InvalidRequest, match="a zip of the images themselves"):
        services.create_batch(token=model.token, file=ContentFile(buffer.getvalue(), name="photos.zip"))


def keep_batches_going() -> None:
    queue.rescue(Batch)
    queue.announce_lost(Batch)
    delete_expired_batches()


def claim_next(worker: str = "w") -> Batch | None:
    return BatchAttempt.claim_next(worker=worker, queue="batches")


def run_next() -> Batch:
    batch = claim_next()
    assert batch is not None
    attempt = BatchAttempt(batch)
    under_way[:] = [attempt]
    attempt.carry_out()
    batch.refresh_from_db()
    return batch


under_way: list[BatchAttempt] = []


def wait_until_noticed() -> None:
    """Raise what the attempt under way raises when it notices what others have decided."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        under_way[0].heartbeat.check()
        time.sleep(0.01)


def result_of(batch: Batch) -> list[dict[str, str]]:
    stored = get_bucket().get(batch.result_key)
    assert stored is not None
    assert len(stored.body) == batch.result_size
    return list(csv.DictReader(io.StringIO(stored.body.decode(), newline="")))


def names_in_bucket(batch: Batch) -> set[str]:
    return {key.removeprefix(files.folder_of(batch)) for key, _ in get_bucket().list(files.folder_of(batch))}


def die_after(monkeypatch: pytest.MonkeyPatch, portions: int, error: BaseException) -> None:
    """Let the next attempt end in the middle, with nothing tidied up in the table."""
    note, seen = attempts._note, []

    def noting(*arguments: Any) -> None:
        if len(seen) == portions:
            raise error
        note(*arguments)
        seen.append(1)

    monkeypatch.setattr(attempts, "_note", noting)


def test_result_has_what_single_predictions_say(model: RegisteredModel) -> None:
    batch = services.create_batch(token=model.token, file=colours(10))
    assert (batch.state, batch.total, batch.source_name) == ("queued", 10, "photos.zip")
    batch = run_next()
    assert (batch.state, batch.done, batch.unreadable) == ("succeeded", 10, 0)
    for number, row in enumerate(result_of(batch)):
        single = predict(token=model.token, inputs=[picture(COLOURS[number % 3])]).predictions[0]
        assert row["file"] == f"{number:03}.png"
        assert (row["label"], row["problem"]) == (single.label, "")
        assert float(row["probability"]) == pytest.approx(single.probability, abs=1e-6)
        assert list(json.loads(row["top"])) == [label for label, _ in single.top]
    assert names_in_bucket(batch) == {"result-1.csv"}
    assert batch.expires_at is not None


def test_unreadable_inputs_get_a_row_that_says_why(model: RegisteredModel) -> None:
    entries = {f"{number}.png": picture("red") for number in range(6)}
    entries |= {"2.png": b"no image", "5.png": picture("red")[:60]}
    services.create_batch(token=model.token, file=archive(entries))
    batch = run_next()
    rows = result_of(batch)
    assert (batch.state, batch.unreadable) == ("succeeded", 2)
    assert [bool(row["problem"]) for row in rows] == [False, False, True, False, False, True]
    assert "not an image" in rows[2]["problem"]
    assert rows[2]["label"] == ""


def test_formula_cells_are_escaped(model: RegisteredModel) -> None:
    names = ["=1+1.png", "+a.png", "-b.png", "@c.png", "plain.png"]
    services.create_batch(token=model.token, file=archive({name: picture("red") for name in names}))
    rows = result_of(run_next())
    assert [row["file"] for row in rows] == ["'=1+1.png", "'+a.png", "'-b.png", "'@c.png", "plain.png"]


def test_texts_stand_in_the_result_as_they_were_sent() -> None:
    model = live_mood_model()
    texts = ["  good  day ", "bad\tday\n", "good\r\nday", "“bad”, he said\u00a0", "good"]
    unusable = ["", "   "]
    escaped = ["=1+1 good", " =1+1", "\tbad", "\nbad", "-good", "\u2003@bad"]
    escaped += ["\uff1d1+1", "\uff0bgood", "\uff0dgood", "\uff20bad", "\u22121", "\u200b=1", "\ufe63good"]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["input"], *([text] for text in (*texts, *unusable, *escaped))])
    services.create_batch(token=model.token, file=ContentFile(buffer.getvalue().encode(), name="texts.csv"))
    rows = result_of(run_next())
    assert [row["text"] for row in rows] == [*texts, *unusable, *(f"'{text}" for text in escaped)]
    assert [row["problem"] for row in rows if row["label"] == ""] == ["is empty"] * 2
    sent = [*texts, *escaped]
    single = [one.label for one in predict(token=model.token, inputs=sent).predictions]
    assert [row["label"] for row in rows if row["label"]] == single


def test_killed_worker_is_followed_by_one_that_goes_on(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = services.create_batch(token=model.token, file=colours(10))
    with monkeypatch.context() as patched:
        die_after(patched, 1, SystemExit())
        with pytest.raises(SystemExit):
            run_next()
    batch.refresh_from_db()
    assert (batch.state, batch.done, batch.attempt) == ("running", 4, 1)
    keep_batches_going()
    batch.refresh_from_db()
    assert batch.state == "running"  # the lease is not over
    Batch.objects.update(lease_expires_at=timezone.now() - MINUTE)
    keep_batches_going()
    batch = run_next()
    assert (batch.state, batch.done, batch.attempt) == ("succeeded", 10, 2)
    assert batch.parts == [[1, 0, 4], [2, 4, 10]]
    assert [row["file"] for row in result_of(batch)] == [f"{number:03}.png" for number in range(10)]


def test_attempt_without_its_lease_changes_nothing(model: RegisteredModel) -> None:
    batch = services.create_batch(token=model.token, file=colours(10))
    stale = claim_next("stale")
    assert stale is not None
    Batch.objects.update(lease_expires_at=timezone.now() - MINUTE)
    keep_batches_going()
    fresh = claim_next("fresh")
    assert fresh is not None
    BatchAttempt(stale).carry_out()
    with pytest.raises(StaleAttempt):
        transitions.renew(stale, done=1)
    batch.refresh_from_db()
    assert (batch.state, batch.done, batch.attempt) == ("running", 0, 2)
    BatchAttempt(fresh).carry_out()
    batch.refresh_from_db()
    assert batch.state == "succeeded"
    assert len(result_of(batch)) == 10


def test_message_that_comes_twice_finds_nothing(model: RegisteredModel) -> None:
    services.create_batch(token=model.token, file=colours(2))
    run_next()
    assert claim_next("w") is None


def test_worker_that_always_dies_ends_the_batch(model: RegisteredModel) -> None:
    batch = services.create_batch(token=model.token, file=colours(2))
    for _ in range(3):
        assert claim_next("w") is not None
        Batch.objects.update(lease_expires_at=timezone.now() - MINUTE)
        keep_batches_going()
    batch.refresh_from_db()
    assert batch.state == "failed"
    assert "worker w stopped answering" in batch.message
    assert names_in_bucket(batch) == set()


def test_queued_batch_is_cancelled_at_once(model: RegisteredModel) -> None:
    batch = services.create_batch(token=model.token, file=colours(2))
    services.cancel_batch(batch=batch)
    assert batch.state == "cancelled"
    assert claim_next("w") is None
    with pytest.raises(InvalidRequest, match="ended"):
        services.cancel_batch(batch=batch)


def test_running_batch_is_cancelled_half_way(model: RegisteredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = services.create_batch(token=model.token, file=colours(10))
    note = attempts._note

    def noting(*arguments: Any) -> None:
        note(*arguments)
        services.cancel_batch(batch=Batch.objects.get())
        wait_until_noticed()

    monkeypatch.setattr(attempts, "_note", noting)
    batch = run_next()
    assert (batch.state, batch.done) == ("cancelled", 4)
    assert names_in_bucket(batch) == set()


def test_maintenance_suspends_and_goes_on_later(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.create_batch(token=model.token, file=colours(10))
    note = attempts._note

    def noting(*arguments: Any) -> None:
        note(*arguments)
        PlatformStatus.objects.update_or_create(pk=1, defaults={"dev_mode": True})
        wait_until_noticed()

    with monkeypatch.context() as patched:
        patched.setattr(attempts, "_note", noting)
        batch = run_next()
    assert (batch.state, batch.done, batch.failures) == ("queued", 4, 0)
    assert "maintenance" in batch.message
    assert claim_next("w") is None
    with pytest.raises(MaintenanceMode):
        services.create_batch(token=model.token, file=colours(1))
    PlatformStatus.objects.update(dev_mode=False)
    batch = run_next()
    assert batch.state == "succeeded"
    assert len(result_of(batch)) == 10


@pytest.mark.parametrize(
    "change",
    [{"state": "retired"}, {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}],
    ids=["deleted", "expired"],
)
def test_model_that_goes_away_ends_its_batch(
    change: dict[str, Any], model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.create_batch(token=model.token, file=colours(10))
    note = attempts._note

    def noting(*arguments: Any) -> None:
        note(*arguments)
        RegisteredModel.objects.update(**change)

    monkeypatch.setattr(attempts, "_note", noting)
    batch = run_next()
    assert batch.state == "failed"
    assert "deleted" in batch.message


def test_bucket_that_is_away_costs_an_attempt(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.create_batch(token=model.token, file=colours(10))
    with monkeypatch.context() as patched:
        die_after(patched, 2, OSError("no route to the bucket"))
        batch = run_next()
    assert (batch.state, batch.done, batch.failures) == ("queued", 8, 1)
    batch = run_next()
    assert (batch.state, batch.failures, len(result_of(batch))) == ("succeeded", 0, 10)


def test_what_is_no_photo_is_told_in_the_column_of_problems(model: RegisteredModel) -> None:
    services.create_batch(token=model.token, file=archive({"a.png": picture("red"), "labels.csv": b"a,b"}))
    first, last = result_of(run_next())
    assert (first["file"], first["label"], first["problem"]) == ("a.png", "red", "")
    assert (last["file"], last["label"], last["problem"]) == ("labels.csv", "", "is no photo, by its name")


def test_batches_take_turns(model: RegisteredModel, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "BATCH_TURN": timedelta(0)}
    first = services.create_batch(token=model.token, file=colours(8))
    second = services.create_batch(token=model.token, file=colours(8))
    assert [run_next().pk for _ in range(4)] == [first.pk, second.pk, first.pk, second.pk]
    assert set(Batch.objects.values_list("state", flat=True)) == {"succeeded"}


def test_batch_lets_a_data_set_go_first_after_its_turn(model: RegisteredModel, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "BATCH_TURN": timedelta(0)}
    services.create_batch(token=model.token, file=colours(8))
    waits = DatasetValidationFactory()
    batch = run_next()
    assert (batch.state, batch.done, batch.message) == ("queued", 4, "Takes turns with others.")
    waits.delete()
    assert run_next().state == "succeeded"


def test_expired_batch_goes_with_its_files(model: RegisteredModel) -> None:
    services.create_batch(token=model.token, file=colours(2))
    batch = run_next()
    keep_batches_going()
    assert names_in_bucket(batch)
    Batch.objects.update(expires_at=timezone.now())
    keep_batches_going()
    assert not names_in_bucket(batch)
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "no files"),
        ({"../a.png": b"x"}, "outside"),
        ({"a/../../b.png": b"x"}, "outside"),
    ],
)
def test_hostile_archive_is_refused(model: RegisteredModel, entries: dict[str, bytes], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        services.create_batch(token=model.token, file=archive(entries))
    assert not Batch.objects.exists()


def test_bomb_ends_the_batch(model: RegisteredModel) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("a.png", b"\0" * 30_000_000)
    services.create_batch(token=model.token, file=ContentFile(buffer.getvalue(), name="b.zip"))
    batch = run_next()
    assert batch.state == "failed"
    assert "unpacks to more" in batch.message


def test_limits_are_enforced_on_what_is_there(model: RegisteredModel, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_BATCH_INPUTS": 3}
    with pytest.raises(InvalidRequest, match="3 inputs"):
        services.create_batch(token=model.token, file=colours(4))
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_BATCH_BYTES": 100}
    with pytest.raises(InvalidRequest, match="larger"):
        services.create_batch(token=model.token, file=colours(3))
    settings.TRAINYARD = {
        **settings.TRAINYARD,
        "MAX_BATCH_BYTES": 10**6,
        "MAX_UNFINISHED_BATCHES_PER_MODEL": 1,
    }
    services.create_batch(token=model.token, file=colours(3))
    with pytest.raises(InvalidRequest, match="unfinished"):
        services.create_batch(token=model.token, file=colours(3))


@pytest.mark.parametrize("name", ["photos.tar", "photos", "a.csv", "x." + "y" * 300, "\u202e.zi\u0440"])
def test_file_of_another_kind_is_refused(model: RegisteredModel, name: str) -> None:
    with pytest.raises(InvalidRequest):
        services.create_batch(token=model.token, file=ContentFile(b"input\nhello\n", name=name))


def test_unknown_token_is_unknown() -> None:
    with pytest.raises(UnknownModel):
        services.create_batch(token="nothing", file=colours(1))


def test_known_files_are_those_in_the_bucket(model: RegisteredModel, tmp_path: Path) -> None:
    services.create_batch(token=model.token, file=colours(3))
    done = run_next()
    waiting = services.create_batch(token=model.token, file=colours(3))
    known = files.known_files()
    assert known.files == dict(get_bucket().list(files.BATCHES))
    assert set(known.files) == {done.result_key, files.source_key(waiting)}


def test_pictures_are_classified_upright(model: RegisteredModel) -> None:
    image = Image.new("RGB", (40, 30), "blue")
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    services.create_batch(token=model.token, file=archive({"turned.jpg": buffer.getvalue()}))
    assert result_of(run_next())[0]["label"] == "blue"
