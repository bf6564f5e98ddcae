"""Files as they leave: whole, in parts, not at all; from a folder and from a real S3 server."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client

from documents.store import get_store
from models_registry.models import Artifact, RegisteredModel
from tests import servers
from tests.factories import ArtifactFactory, RegisteredModelFactory

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 4
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


def with_file(kind: str = "onnx", name: str = "flowers.onnx", **fields: Any) -> RegisteredModel:
    model = RegisteredModelFactory(**fields)
    key = f"{model.task_type}/{model.token}/1/{name}"
    digest = hashlib.sha256(CONTENT).hexdigest()
    ArtifactFactory(model=model, kind=kind, key=key, size=len(CONTENT), sha256=digest)
    storages["default"].save(key, ContentFile(CONTENT))
    return model


def get(model: RegisteredModel, wanted: str = "onnx", **headers: str) -> Any:
    return Client().get(f"/api/v1/models/{model.token}/download/?format={wanted}", headers=headers)


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.mark.parametrize(
    ("wanted", "kind", "name"),
    [("onnx", "onnx", "a.onnx"), ("pytorch", "torchscript", "b.pt"), ("metadata", "metadata", "c.json")],
)
def test_a_file_is_saved_under_its_name_and_never_shown(wanted: str, kind: str, name: str) -> None:
    response = get(with_file(kind, name), wanted)
    assert response.status_code == 200
    assert body(response) == CONTENT
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Length"] == str(len(CONTENT))
    assert response["ETag"] == ETAG


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-9999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-9999", 0, 1024),
        ("bytes = 5-6", 5, 7),
    ],
)
def test_a_part_of_a_file(asked: str, start: int, stop: int) -> None:
    response = get(with_file(), Range=asked)
    assert response.status_code == 206
    assert body(response) == CONTENT[start:stop]
    assert response["Content-Range"] == f"bytes {start}-{stop - 1}/1024"
    assert response["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=9999-10000", "bytes=-0"])
def test_a_part_that_is_not_there(asked: str) -> None:
    response = get(with_file(), Range=asked)
    assert response.status_code == 416
    assert response["Content-Range"] == "bytes */1024"
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "asked", ["", "bytes=-", "bytes=9-1", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes=٣-٤"]
)
def test_ranges_that_make_no_sense_get_the_whole_file(asked: str) -> None:
    response = get(with_file(), Range=asked)
    assert (response.status_code, body(response)) == (200, CONTENT)


def test_a_part_of_what_has_changed_since_is_the_whole() -> None:
    model = with_file()
    assert get(model, Range="bytes=0-9", **{"If-Range": ETAG}).status_code == 206
    assert get(model, Range="bytes=0-9", **{"If-Range": '"old"'}).status_code == 200
    assert get(model, **{"If-None-Match": ETAG}).status_code == 304


def test_a_download_interrupted_again_and_again_is_whole_at_the_end() -> None:
    model, got = with_file(), b""
    while len(got) < len(CONTENT):
        got += body(get(model, Range=f"bytes={len(got)}-", **{"If-Range": ETAG}))[:100]
    assert got == CONTENT


@pytest.mark.parametrize("wanted", ["pytorch", "metadata"])
def test_a_file_that_the_model_does_not_have_is_a_404(wanted: str) -> None:
    assert get(with_file(), wanted).status_code == 404


@pytest.mark.parametrize("wanted", ["", "pickle", "torchscript", "../onnx"])
def test_an_unknown_format_is_a_400_that_names_those_there_are(wanted: str) -> None:
    response = get(with_file(), wanted)
    assert response.status_code == 400
    assert "format" in response.json()["errors"]


def test_a_file_that_went_is_a_404_and_one_that_was_swapped_is_not_sent() -> None:
    model = with_file()
    key = Artifact.objects.get(model=model).key
    storages["default"].delete(key)
    assert get(model).status_code == 404
    storages["default"].save(key, ContentFile(b"another file"))
    assert get(model).status_code == 503


def test_a_bucket_that_is_away_is_a_503() -> None:
    model = with_file()
    folder = Path(storages["default"].path(f"{model.task_type}/{model.token}"))
    shutil.rmtree(folder)
    folder.write_text("in the way of what is wanted")
    response = get(model)
    assert response.status_code == 503
    assert "cannot be fetched from the bucket now" in response.json()["detail"]


@pytest.fixture(scope="module")
def s3() -> Iterator[servers.S3Server]:
    with servers.s3_server() as server:
        yield server


@pytest.mark.servers
def test_s3_hands_out_the_file_by_an_address_that_is_signed_and_short_lived(
    s3: servers.S3Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    settings.S3_BUCKET = s3.bucket
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": s3.bucket,
                "endpoint_url": s3.endpoint,
                "addressing_style": "path",
                "querystring_auth": True,
                "signature_version": "s3v4",
            },
        },
    }
    get_store.cache_clear()
    response = get(with_file(name="größe 1.onnx"))
    assert response.status_code == 302
    address = response["Location"]
    assert int(parse_qs(urlsplit(address).query)["X-Amz-Expires"][0]) == 300
    got = requests.get(address, headers={"Range": "bytes=0-9"}, timeout=10)
    assert (got.status_code, got.content) == (206, CONTENT[:10])
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert "gr%C3%B6%C3%9Fe%201.onnx" in got.headers["Content-Disposition"]
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert requests.get(address.partition("?")[0], timeout=10).status_code == 403
