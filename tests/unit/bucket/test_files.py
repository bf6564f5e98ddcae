"""Files that are proven on their way."""

import hashlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from bucket.factory import get_bucket
from bucket.files import WrongFile, download, upload
from bucket.folder import FolderBucket
from core.exceptions import BucketError

pytestmark = pytest.mark.django_db  # for the bucket of its own that each test has

CONTENT = bytes(range(256)) * 8192
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_download_copies_the_file_and_looks_up_at_each_piece(tmp_path: Path) -> None:
    get_bucket().save("a.zip", BytesIO(CONTENT))
    looked: list[int] = []
    download("a.zip", tmp_path / "a", sha256=SHA256, limit=len(CONTENT), check=lambda: looked.append(1))
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert len(looked) == 2


@pytest.mark.parametrize(
    ("key", "sha256", "limit", "reason"),
    [
        ("gone.zip", SHA256, len(CONTENT), "no gone.zip"),
        ("a.zip", "0" * 64, len(CONTENT), "SHA-256"),
        ("a.zip", SHA256, len(CONTENT) - 1, "more than"),
    ],
)
def test_download_of_another_file_is_refused(
    tmp_path: Path, key: str, sha256: str, limit: int, reason: str
) -> None:
    get_bucket().save("a.zip", BytesIO(CONTENT))
    with pytest.raises(WrongFile, match=reason):
        download(key, tmp_path / "a", sha256=sha256, limit=limit)


def test_upload_returns_the_sha256_of_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert upload(tmp_path / "a", "models/a.onnx") == SHA256
    with get_bucket().open("models/a.onnx") as stored:
        assert stored.read() == CONTENT


@pytest.mark.parametrize("kept", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_upload_into_a_bucket_that_keeps_something_else_fails(
    tmp_path: Path, kept: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = FolderBucket.save

    def save_wrong(bucket: FolderBucket, key: str, source: BinaryIO) -> None:
        save(bucket, key, BytesIO(kept))

    monkeypatch.setattr(FolderBucket, "save", save_wrong)
    (tmp_path / "a").write_bytes(CONTENT)
    with pytest.raises(WrongFile, match="did not keep"):
        upload(tmp_path / "a", "models/a.onnx")


def test_upload_without_an_answer_is_an_error_of_the_bucket(tmp_path: Path, bucket: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    (bucket / "models").write_text("in the way")
    with pytest.raises(BucketError):
        upload(tmp_path / "a", "models/a.onnx")
