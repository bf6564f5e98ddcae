import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucket.base import Bucket, Conflict
from bucket.folder import FolderBucket
from bucket.probe import PREFIX, RACES, WRITERS, probe_conditional_writes
from bucket.s3 import S3Bucket
from core.exceptions import BucketError
from devtools import servers
from devtools.faulty_s3 import Fault, FaultyS3


@pytest.fixture(scope="module")
def server() -> Iterator[servers.S3Server]:
    with servers.s3_server() as running:
        running.client().put_object(Bucket=running.bucket, Key="first", Body=b"")  # makes room on disk
        yield running


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "folder":
        return FolderBucket(tmp_path)
    running = request.getfixturevalue("server")
    return S3Bucket(running.storage())


def keys_in(store: Bucket) -> list[str]:
    if isinstance(store, S3Bucket):
        found = store.client.list_objects_v2(Bucket=store.bucket).get("Contents", [])
        return [one["Key"] for one in found if one["Key"].startswith(PREFIX)]
    assert isinstance(store, FolderBucket)
    return [path.name for path in (store.root / PREFIX).glob("*")]


class IgnoresConditions(S3Bucket):
    """An older S3 server: it knows neither header, so it does not look at them."""

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        return self.client.put_object(Bucket=self.bucket, Key=key, Body=body)["ETag"]


def overwrite(store: FolderBucket, key: str, body: bytes) -> str:
    """Replace whatever is there, whole: a store that shows half of a write is not what these tests are about."""
    path = store.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = store.root / f"draft-{threading.get_ident()}"
    draft.write_bytes(body)
    draft.replace(path)
    return f'"{hashlib.sha256(body).hexdigest()}"'


class LooksThenWrites(FolderBucket):
    """Compares the ETag, and writes when all who race have compared: right with one writer, not with two."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.looked = threading.Barrier(2 * RACES * WRITERS)

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        current = self.get(key)
        if (current.etag if current else None) != if_match:
            raise Conflict(key)
        if body.startswith(b"writer"):
            self.looked.wait(10)
        return overwrite(self, key, body)


class KnowsOnlyIfMatch(FolderBucket):
    """Enforces If-Match and ignores If-None-Match."""

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        with self._lock(key):
            current = self.get(key)
            if if_match is not None and (current is None or current.etag != if_match):
                raise Conflict(key)
            return overwrite(self, key, body)


class ChangesEtags(FolderBucket):
    """Behind a proxy that compresses: the ETag that one reads is not the one that the store compares."""

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        if if_match is not None:
            raise Conflict(key)
        return super().put(key, body, if_match=None)


def test_store_that_enforces_conditions_is_recognised(store: Bucket) -> None:
    result = probe_conditional_writes(store)
    assert result.problems == ()
    assert result.enforced
    assert result.seconds < 2
    assert str(result) == "The bucket enforces conditional writes."
    assert keys_in(store) == []


@pytest.mark.servers
def test_server_that_ignores_conditions_is_reported(server: servers.S3Server) -> None:
    store = IgnoresConditions(server.storage())
    result = probe_conditional_writes(store)
    assert not result.enforced
    told = str(result)
    assert "If-None-Match: 2 of 2 writers at once were let through" in told
    assert "If-Match: 2 of 2 writers at once were let through" in told
    assert "If-Match: a write with an outdated ETag was let through" in told
    assert "If-Match: a write to a document that is gone was let through" in told
    assert "overwritten without a trace" in told, "it says what outsiders risk"
    assert keys_in(store) == []


def test_check_and_write_in_two_steps_is_not_enough(tmp_path: Path) -> None:
    result = probe_conditional_writes(LooksThenWrites(tmp_path), rounds=1)
    assert result.problems[:2] == (
        "If-None-Match: 2 of 2 writers at once were let through",
        "If-Match: 2 of 2 writers at once were let through",
    )


def test_half_of_the_conditions_is_not_enough(tmp_path: Path) -> None:
    store = KnowsOnlyIfMatch(tmp_path)
    problems = probe_conditional_writes(store).problems
    assert problems
    assert all(problem.startswith("If-None-Match") for problem in problems)
    assert keys_in(store) == []


def test_store_that_refuses_right_conditions_cannot_be_used(tmp_path: Path) -> None:
    store = ChangesEtags(tmp_path)
    with pytest.raises(BucketError, match="changes ETags"):
        probe_conditional_writes(store)
    assert keys_in(store) == []


@pytest.mark.servers
def test_lost_answers_raise_no_false_alarm(server: servers.S3Server) -> None:
    with FaultyS3(server) as line:
        store = S3Bucket(line.server.storage(attempts=3))
        line.cause(Fault.LOSE_ANSWER, method="PUT", times=1)  # of the document to be replaced
        line.cause(Fault.LOSE_ANSWER, method="PUT", times=1, skip=1)  # of one of the writers
        assert probe_conditional_writes(store).enforced
    assert keys_in(S3Bucket(server.storage())) == []


@pytest.mark.servers
def test_bucket_that_is_down_says_so(server: servers.S3Server) -> None:
    with FaultyS3(server) as line, line.down(), pytest.raises(BucketError):
        probe_conditional_writes(S3Bucket(line.server.storage()))
