"""Somebody reads inference.json, waits, and writes it back without a condition: what is new of ours stays."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from bucket.factory import get_bucket
from devtools import servers
from documents import keys
from documents.drift import check_document
from documents.merge import (
    PUT_BACK_AT_MOST,
    UNSEEN_FOR,
    Fate,
    Ownership,
    Write,
    merge_entry,
    unseen,
    writes_after,
)
from documents.models import OverruledChange, PublishedEntry
from documents.publish import publish_waiting
from models_registry.models import RegisteredModel
from models_registry.services import change_model, restore_model, retire_model
from tests.factories import ArtifactFactory, RegisteredModelFactory

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
STATES = RegisteredModel.State


@pytest.fixture(scope="module")
def s3() -> Iterator[servers.S3Server]:
    with servers.s3_server() as server:
        yield server


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.servers)])
def store(
    request: pytest.FixtureRequest, bucket: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Put the documents into a folder, or into a bucket of a real server."""
    if request.param == "s3":
        server: servers.S3Server = request.getfixturevalue("s3")
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        settings.S3_BUCKET, settings.S3_ENDPOINT_URL = server.bucket, server.endpoint
        get_bucket.cache_clear()
        for key, _ in list(get_bucket().list("")):
            get_bucket().delete(key)
    yield request.param
    get_bucket.cache_clear()


@pytest.fixture
def clock() -> Iterator[Callable[[timedelta], None]]:
    """Let time pass only when the test says so, and little of it: a server refuses signatures of other times."""
    with time_machine.travel(datetime.now(UTC), tick=False) as traveller:
        yield traveller.shift


def read() -> Any:
    stored = get_bucket().get(keys.INFERENCE)
    assert stored is not None
    return json.loads(stored.body)


def write(document: Any) -> None:
    """Write as a program does that knows no conditions."""
    get_bucket().put(
        keys.INFERENCE, json.dumps(document).encode(), if_match=get_bucket().head(keys.INFERENCE)
    )


def live(**fields: Any) -> RegisteredModel:
    """Make a model live that has its file."""
    model = RegisteredModelFactory(**fields)
    artifact = ArtifactFactory(model=model)
    get_bucket().save(artifact.key, BytesIO(b"abc"))
    publish_waiting()
    return model


def state_of(model: RegisteredModel) -> str:
    return RegisteredModel.objects.get(pk=model.pk).state


pytest_db = pytest.mark.django_db(transaction=True)


@pytest_db
def test_entry_that_vanishes_in_a_write_that_cannot_have_seen_it_comes_back(
    store: str, clock: Callable[[timedelta], None]
) -> None:
    old = live()
    clock(2 * UNSEEN_FOR)
    seen = read()
    model = live()
    entry = read()[model.token]
    clock(timedelta(seconds=90))
    write(seen)
    publish_waiting()
    assert read()[model.token] == entry
    assert state_of(model) == state_of(old) == STATES.LIVE
    note = OverruledChange.objects.get()
    assert (note.entry, note.field, note.value, note.winner) == (model.token, "", "null", "database")
    publish_waiting()
    assert check_document(keys.INFERENCE).problems == ()
    assert OverruledChange.objects.count() == 1


@pytest_db
def test_entry_that_vanishes_later_retires_the_model(store: str, clock: Callable[[timedelta], None]) -> None:
    model = live()
    clock(UNSEEN_FOR)
    write({})
    publish_waiting()
    assert state_of(model) == STATES.RETIRED
    assert read() == {}


@pytest_db
def test_entry_that_was_put_back_and_is_removed_again_later_retires_the_model(
    bucket: Path, clock: Callable[[timedelta], None]
) -> None:
    model = live()
    clock(timedelta(seconds=30))
    write({})
    publish_waiting()
    assert model.token in read()
    clock(UNSEEN_FOR)
    write({})
    publish_waiting()
    assert state_of(model) == STATES.RETIRED


@pytest_db
def test_somebody_who_removes_an_entry_again_and_again_wins(
    bucket: Path, clock: Callable[[timedelta], None]
) -> None:
    model = live()
    for _ in range(PUT_BACK_AT_MOST):
        clock(timedelta(seconds=60))
        write({})
        publish_waiting()
        assert state_of(model) == STATES.LIVE
    clock(timedelta(seconds=60))
    write({})
    publish_waiting()
    assert state_of(model) == STATES.RETIRED


@pytest_db
def test_entry_whose_files_went_with_it_retires_the_model(
    store: str, clock: Callable[[timedelta], None]
) -> None:
    model = live()
    get_bucket().delete(model.artifacts.get().key)
    write({})
    publish_waiting()
    assert state_of(model) == STATES.RETIRED


@pytest_db
def test_entry_comes_back_though_our_next_write_meets_the_stale_one(
    store: str, clock: Callable[[timedelta], None]
) -> None:
    seen = read_after_first_publish()
    model = live()
    write({**seen, "theirs": {"task_type": "imageclassification"}})
    other = live()  # this write is refused, reads and merges
    assert {model.token, other.token, "theirs"} == set(read())
    assert state_of(model) == STATES.LIVE


def read_after_first_publish() -> Any:
    publish_waiting()
    return read()


@pytest_db
def test_model_that_comes_back_to_life_is_new_again(bucket: Path, clock: Callable[[timedelta], None]) -> None:
    model = live()
    clock(2 * UNSEEN_FOR)
    retire_model(model=model)
    seen = read()
    restore_model(model=model)
    write(seen)
    publish_waiting()
    assert state_of(model) == STATES.LIVE
    assert model.token in read()


@pytest_db
def test_edit_of_ours_is_not_undone_by_a_write_that_cannot_have_seen_it(
    store: str, clock: Callable[[timedelta], None]
) -> None:
    model = live()
    clock(2 * UNSEEN_FOR)
    seen = read()
    change_model(model=model, changes={"downloadable": False})
    clock(timedelta(seconds=60))
    write(seen)
    publish_waiting()
    assert read()[model.token]["downloadable"] is False
    assert RegisteredModel.objects.get(pk=model.pk).downloadable is False
    assert [(note.field, note.value) for note in OverruledChange.objects.all()] == [("downloadable", "true")]
    clock(UNSEEN_FOR)
    write(seen)
    publish_waiting()
    assert RegisteredModel.objects.get(pk=model.pk).downloadable is True, "by now they mean it"


@pytest_db
def test_edit_of_theirs_that_is_new_is_followed_at_once(
    bucket: Path, clock: Callable[[timedelta], None]
) -> None:
    model = live(accuracy=50.0)
    change_model(model=model, changes={"accuracy": 60.0})
    document = read()
    document[model.token] |= {"accuracy": 70.0, "downloadable": False}
    write(document)
    publish_waiting()
    model.refresh_from_db()
    assert (model.accuracy, model.downloadable) == (70.0, False)


@pytest_db
def test_entry_of_a_model_without_files_does_not_bring_it_back(bucket: Path) -> None:
    model = live()
    get_bucket().delete(model.artifacts.get().key)
    entry = read()[model.token]
    write({})
    publish_waiting()
    assert state_of(model) == STATES.RETIRED
    write({model.token: entry})
    publish_waiting()
    assert state_of(model) == STATES.RETIRED
    assert read() == {model.token: entry}
    assert "files are not in the bucket" in PublishedEntry.objects.get(name=model.token).problem


# The decision, without any tables ------------------------------------------------------------

OURS = {"downloadable": True, "accuracy": 50.0}
FOLLOWED = Ownership(followed=frozenset(OURS))
AGES = st.integers(0, 600).map(lambda seconds: timedelta(seconds=seconds))


def merged_without(writes: tuple[Write, ...], *, has_files: bool = True) -> Fate:
    return merge_entry(
        base=OURS,
        ours=OURS,
        theirs=None,
        external=False,
        canonical=dict,
        ownership=FOLLOWED,
        writes=unseen(writes, now=NOW),
        has_files=has_files,
    ).fate


@given(age=AGES, put_back=st.integers(0, 5), has_files=st.booleans(), was_new=st.booleans())
def test_vanished_entry_comes_back_exactly_while_it_is_new(
    age: timedelta, put_back: int, has_files: bool, was_new: bool
) -> None:
    write = Write(NOW - age, None if was_new else {"accuracy": 40.0}, put_back)
    expected = was_new and has_files and age < UNSEEN_FOR and put_back < PUT_BACK_AT_MOST
    fate = merged_without((write,), has_files=has_files)
    assert fate is (Fate.PUT_BACK if expected else Fate.VANISHED)


@given(removals=st.lists(st.integers(1, 300), min_size=10, max_size=30))
def test_entry_that_is_removed_for_ever_goes_in_the_end(removals: list[int]) -> None:
    writes: tuple[Write, ...] = (Write(NOW),)
    now, times = NOW, 0
    for seconds in removals:
        now += timedelta(seconds=seconds)
        writes = unseen(writes, now=now)
        merged = merge_entry(
            base=OURS,
            ours=OURS,
            theirs=None,
            external=False,
            canonical=dict,
            ownership=FOLLOWED,
            writes=writes,
            has_files=True,
        )
        if merged.fate is Fate.VANISHED:
            break
        times += 1
        writes = writes_after(
            base=OURS,
            ours=OURS,
            theirs=None,
            merged=merged,
            canonical=dict,
            writes=writes,
            now=now,
        )
    assert times <= PUT_BACK_AT_MOST


@given(age=AGES, before=st.sampled_from([40.0, 45.0]), theirs=st.sampled_from([40.0, 45.0]))
def test_edit_is_undone_exactly_by_those_who_may_have_seen_it(
    age: timedelta, before: float, theirs: float
) -> None:
    merged = merge_entry(
        base=OURS,
        ours=OURS,
        theirs={**OURS, "accuracy": theirs},
        external=False,
        canonical=dict,
        ownership=FOLLOWED,
        writes=unseen((Write(NOW - age, {"accuracy": before}),), now=NOW),
    )
    stays = before == theirs and age < UNSEEN_FOR
    assert merged.document["accuracy"] == (50.0 if stays else theirs)
    assert bool(merged.followed) != stays
    assert bool(merged.overruled) == stays
