import os
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from bucket.factory import get_bucket
from bucket.files import WrongFile
from bucket.kept_files import provide, prune

CONTENT = b"abc"
DIGEST = sha256(CONTENT).hexdigest()


def fetch(path: Path, folder: Path) -> bytes:
    provide("a/file.csv", path, folder, sha256=DIGEST, size=len(CONTENT))
    return path.read_bytes()


def test_second_time_nothing_is_fetched(bucket: Path, tmp_path: Path) -> None:
    get_bucket().save("a/file.csv", BytesIO(CONTENT))
    assert fetch(tmp_path / "one.csv", tmp_path / "kept") == CONTENT
    get_bucket().delete("a/file.csv")
    assert fetch(tmp_path / "two.csv", tmp_path / "kept") == CONTENT
    (tmp_path / "kept" / f"{DIGEST}.csv").unlink()
    with pytest.raises(WrongFile):
        fetch(tmp_path / "three.csv", tmp_path / "kept")


def test_copy_that_was_spoilt_is_fetched_again(bucket: Path, tmp_path: Path) -> None:
    get_bucket().save("a/file.csv", BytesIO(CONTENT))
    kept = tmp_path / "kept" / f"{DIGEST}.csv"
    kept.parent.mkdir()
    kept.write_bytes(b"abX")
    assert fetch(tmp_path / "one.csv", kept.parent) == CONTENT
    assert kept.read_bytes() == CONTENT


def test_copies_used_longest_ago_go(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / f"{number}"
        path.write_bytes(b"x" * 10)
        os.utime(path, (number, number))
    assert prune(tmp_path, 15) == 2
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["2"]
