"""The bucket that the settings name."""

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests

from bucket.factory import get_bucket
from bucket.folder import FolderBucket
from bucket.s3 import S3Bucket
from devtools import servers


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    get_bucket.cache_clear()
    yield
    get_bucket.cache_clear()


def test_folder_is_the_bucket_where_no_server_is_named(settings: Any, tmp_path: Path) -> None:
    settings.S3_BUCKET, settings.BUCKET_FOLDER = "", tmp_path
    bucket = get_bucket()
    assert isinstance(bucket, FolderBucket)
    bucket.save("a/b", BytesIO(b"x"))
    assert (tmp_path / "a" / "b").read_bytes() == b"x"
    assert get_bucket() is bucket


@pytest.mark.servers
def test_server_signs_addresses_that_need_no_credentials(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers.s3_server() as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        settings.S3_BUCKET, settings.S3_ENDPOINT_URL = server.bucket, server.endpoint
        bucket = get_bucket()
        assert isinstance(bucket, S3Bucket)
        bucket.save("file.onnx", BytesIO(b"0123456789"))
        address = bucket.signed_address(
            "file.onnx",
            disposition='attachment; filename="a.onnx"',
            content_type="text/x",
            lasts=timedelta(minutes=5),
        )
        answer = requests.get(address, headers={"Range": "bytes=2-3"}, timeout=10)
        unsigned = requests.get(address.partition("?")[0], timeout=10)
    assert (answer.status_code, answer.content) == (206, b"23")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.onnx"'
    assert answer.headers["Content-Type"] == "text/x"
    assert unsigned.status_code == 403
