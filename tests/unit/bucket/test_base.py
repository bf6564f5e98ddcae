import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucket.base import Bucket, Conflict
from bucket.folder import FolderBucket
from bucket.s3 import ChunkReader, S3Bucket
from core.exceptions import BucketError
from devtools import servers


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Bucket]:
    import boto3

    with servers.s3_server() as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name="us-east-1",
        )
        yield S3Bucket(client, server.bucket)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "folder":
        return FolderBucket(tmp_path)
    found: Bucket = request.getfixturevalue("s3")
    for key in ("a.json", "training/training.json"):
        found.delete(key)
    return found


def test_get_missing_is_none(store: Bucket) -> None:
    assert store.get("a.json") is None


def test_put_then_get_returns_bytes_and_etag(store: Bucket) -> None:
    etag = store.put("a.json", b"{}", if_match=None)
    stored = store.get("a.json")
    assert stored == (b"{}", etag)


def test_put_new_conflicts_with_an_existing_document(store: Bucket) -> None:
    store.put("a.json", b"1", if_match=None)
    with pytest.raises(Conflict):
        store.put("a.json", b"2", if_match=None)
    stored = store.get("a.json")
    assert stored is not None
    assert stored.body == b"1"


def test_put_conflicts_with_an_outdated_etag(store: Bucket) -> None:
    old = store.put("a.json", b"1", if_match=None)
    store.put("a.json", b"2", if_match=old)
    with pytest.raises(Conflict):
        store.put("a.json", b"3", if_match=old)


def test_put_conflicts_with_a_vanished_document(store: Bucket) -> None:
    etag = store.put("a.json", b"1", if_match=None)
    store.delete("a.json")
    with pytest.raises(Conflict):
        store.put("a.json", b"2", if_match=etag)


def test_put_stream_writes_all_chunks(store: Bucket) -> None:
    chunks = [bytes([number]) * 700_000 for number in range(20)]
    key = "training/training.json"
    etag = store.put_stream(key, iter(chunks), if_match=None)
    stored = store.get(key)
    assert stored is not None
    assert stored.body == b"".join(chunks)
    assert stored.etag == etag == store.head(key)
    for stale in (None, '"another"'):
        with pytest.raises(Conflict):
            store.put_stream(key, iter([b"x" * 9_000_000] * 2), if_match=stale)
    assert store.head(key) == etag
    assert store.put_stream(key, iter([b"small"]), if_match=etag) == store.head(key)


def test_open_reads_in_pieces_and_copy_keeps_everything(store: Bucket) -> None:
    store.put_stream("a/b.json", iter([b"x" * 10_000_000, b"y"]), if_match=None)
    store.copy("a/b.json", "quarantine/a/b.json")
    with store.open("quarantine/a/b.json") as source:
        assert source is not None
        assert source.read(3) == b"xxx"
        assert source.read(10_000_000)[-1:] == b"y"
    with store.open("nothing") as source:
        assert source is None
    assert store.head("nothing") is None
    assert dict(store.list("quarantine/")) == {"quarantine/a/b.json": 10_000_001}


def test_delete_spares_a_newer_document(store: Bucket) -> None:
    old = store.put("a.json", b"1", if_match=None)
    new = store.put("a.json", b"2", if_match=old)
    with pytest.raises(Conflict):
        store.delete("a.json", if_match=old)
    assert store.head("a.json") == new
    store.delete("a.json", if_match=new)
    assert store.head("a.json") is None
    store.delete("a.json", if_match=new)


def test_put_stream_that_fails_leaves_the_old_document(store: Bucket) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the source broke")

    etag = store.put("a.json", b"whole", if_match=None)
    with pytest.raises(RuntimeError):
        store.put_stream("a.json", chunks(), if_match=etag)
    stored = store.get("a.json")
    assert stored is not None
    assert stored.body == b"whole"


def test_delete_missing_is_fine(store: Bucket) -> None:
    store.delete("a.json")
    assert store.get("a.json") is None


def test_concurrent_writers_lose_nothing(store: Bucket) -> None:
    def count(times: int) -> None:
        for _ in range(times):
            while True:
                stored = store.get("a.json")
                value = int(stored.body) if stored else 0
                try:
                    store.put("a.json", str(value + 1).encode(), if_match=stored.etag if stored else None)
                    break
                except Conflict:
                    continue

    threads = [threading.Thread(target=count, args=(10,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = store.get("a.json")
    assert stored is not None
    assert stored.body == b"40"


def test_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BucketError, match=r"a\.json"):
        FolderBucket(tmp_path / "file").put("a.json", b"1", if_match=None)


def test_s3_that_is_down_says_so() -> None:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{servers.free_port()}",
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        region_name="us-east-1",
        config=Config(connect_timeout=1, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(BucketError, match=r"a\.json"):
        S3Bucket(client, "nowhere").get("a.json")


@pytest.mark.parametrize("size", [1, 3, 7, 100, -1])
def test_chunk_reader_cuts_chunks_as_asked(size: int) -> None:
    reader, read = ChunkReader([b"ab", b"", b"cdefg", b"h"]), []
    while piece := reader.read(size):
        assert size < 0 or len(piece) <= size
        read.append(piece)
    assert b"".join(read) == b"abcdefgh"
