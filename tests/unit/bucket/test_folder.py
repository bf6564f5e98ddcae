"""What a folder has to do by itself to be a bucket."""

import stat
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from bucket.base import Missing
from bucket.folder import FolderBucket
from core.exceptions import BucketError


def test_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BucketError, match=r"a\.json"):
        FolderBucket(tmp_path / "file").put("a.json", b"1", if_match=None)


OUTSIDE = ["../secret", "a/../../secret", "/etc/passwd", "a/..", "..", "nul\0", "half \ud800 pair"]


@pytest.mark.parametrize("key", OUTSIDE)
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_text("of others")
    bucket = FolderBucket(tmp_path / "bucket")
    bucket.save("a/inside", BytesIO(b"ours"))
    assert bucket.get(key) is None
    assert bucket.size(key) is None
    with pytest.raises(Missing):
        bucket.open(key)
    with pytest.raises(BucketError):
        bucket.save(key, BytesIO(b"x"))
    with pytest.raises(BucketError):
        bucket.put(key, b"x", if_match=None)
    with pytest.raises(BucketError):
        bucket.copy("a/inside", key)
    with pytest.raises(BucketError):
        bucket.delete(key)
    with pytest.raises(BucketError):
        bucket.delete_folder(f"{key}/")
    with pytest.raises(BucketError):
        list(bucket.list(f"{key}/"))
    assert (tmp_path / "secret").read_text() == "of others"
    assert [found for found, _ in bucket.list("")] == ["a/inside"]


class BreaksOff:
    """A source that ends in an error after some bytes."""

    def __init__(self) -> None:
        self.left = [b"half of "]

    def read(self, size: int = -1) -> bytes:
        if not self.left:
            raise OSError("the source broke")
        return self.left.pop()


def test_save_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    bucket.save("a/file", BytesIO(b"whole"))
    with pytest.raises(BucketError, match="a/file"):
        bucket.save("a/file", cast("BinaryIO", BreaksOff()))
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {"file": b"whole"}


def test_files_may_be_read_by_other_programs(tmp_path: Path) -> None:
    FolderBucket(tmp_path).save("a", BytesIO(b"x"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_drafts_and_locks_are_not_listed(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    bucket.put("a/b.json", b"x", if_match=None)
    (tmp_path / "a" / ".b.json.draft").write_text("half")
    assert list(bucket.list("")) == [("a/b.json", 1)]


def test_deleted_folder_leaves_no_empty_folders(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    bucket.save("a/b/c", BytesIO(b"x"))
    (tmp_path / "a" / ".draft").write_text("of a writer that died")
    assert bucket.delete_folder("a/") == 2
    assert not (tmp_path / "a").exists()


def test_file_that_is_cut_short_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    bucket.save("a", BytesIO(b"0123456789"))
    with bucket.open("a") as source:
        (tmp_path / "a").write_bytes(b"012")
        with pytest.raises(BucketError, match="early"):
            source.read()


def test_folder_has_no_addresses_of_its_own(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    assert bucket.signed_address("a", disposition="", content_type="", lasts=timedelta(minutes=1)) is None


@pytest.mark.parametrize("state", ["gone", "a file"])
def test_folder_that_is_away_is_no_bucket_without_files(tmp_path: Path, state: str) -> None:
    root = tmp_path / "bucket"
    if state == "a file":
        root.touch()
    for ask in (lambda: FolderBucket(root).get("a.json"), lambda: FolderBucket(root).open("a.onnx")):
        with pytest.raises(BucketError, match="folder is not there") as raised:
            ask()
        assert not isinstance(raised.value, Missing)
