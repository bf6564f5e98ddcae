"""What every bucket does: a folder and a real S3 server answer the same questions."""

import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from bucket.base import Bucket, Conflict, Missing
from bucket.folder import FolderBucket
from bucket.s3 import S3Bucket
from core.exceptions import BucketError
from devtools import servers


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Bucket]:
    with servers.s3_server() as server:
        yield S3Bucket(server.storage())


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
        assert source.size == 10_000_001
        assert source.read(3) == b"xxx"
        assert source.read()[-2:] == b"xy"
        assert source.read() == b""
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


def test_missing_file_cannot_be_opened_and_has_no_size(store: Bucket) -> None:
    for key in ("nothing", "nothing/below", "a.json/below"):
        with pytest.raises(Missing, match=key):
            store.open(key)
        assert store.size(key) is None
        assert store.head(key) is None
        assert store.get(key) is None


CONTENT = bytes(range(256)) * 8192  # two pieces


@pytest.mark.parametrize(
    "part", [range(0, 1), range(5, 2**20 + 7), range(2**20, 2**21), range(2**21 - 1, 2**21)]
)
def test_part_of_a_file_is_read_to_its_end(store: Bucket, part: range) -> None:
    store.save("part.bin", BytesIO(CONTENT))
    with store.open("part.bin", part) as source:
        assert source.size == len(CONTENT)
        assert b"".join(source) == CONTENT[part.start : part.stop]
        assert source.read(1) == b""


@pytest.mark.parametrize("part", [range(0, 2**21 + 1), range(2**21, 2**21 + 1)])
def test_part_that_the_file_does_not_have_is_an_error(store: Bucket, part: range) -> None:
    store.save("part.bin", BytesIO(CONTENT))
    with pytest.raises(BucketError), store.open("part.bin", part) as source:
        source.read()


def test_empty_file_is_read(store: Bucket) -> None:
    store.save("empty.bin", BytesIO())
    assert store.size("empty.bin") == 0
    with store.open("empty.bin") as source:
        assert list(source) == []


@pytest.mark.parametrize("size", [3, 20_000_000])
def test_save_replaces_what_was_there(store: Bucket, size: int) -> None:
    store.save("models/a.onnx", BytesIO(b"the old one, which is longer"))
    store.save("models/a.onnx", BytesIO(b"z" * size))
    assert store.size("models/a.onnx") == size
    with store.open("models/a.onnx") as source:
        assert set(source.read()) == {ord("z")}


def test_reader_sees_one_version_of_a_file_that_is_replaced(store: Bucket) -> None:
    store.save("part.bin", BytesIO(CONTENT))
    with store.open("part.bin") as source:
        begin = source.read(1000)
        store.save("part.bin", BytesIO(CONTENT[::-1]))
        assert begin + source.read() == CONTENT


def test_list_and_delete_folder_keep_to_the_folder(store: Bucket) -> None:
    for key in ("t/1/a", "t/1/b/c", "t/12/d", "t/1.json"):
        store.save(key, BytesIO(key.encode()))
    assert dict(store.list("t/1/")) == {"t/1/a": 5, "t/1/b/c": 7}
    assert dict(store.list("t/none/")) == {}
    assert store.delete_folder("t/1/") == 2
    assert sorted(key for key, _ in store.list("t/")) == ["t/1.json", "t/12/d"]
    assert store.delete_folder("t/1/") == 0
    assert store.delete_folder("t/") == 2
