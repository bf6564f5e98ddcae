"""Files as they leave: whole, in parts, not at all; from a folder and from a real S3 server."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.http import Http404
from django.test import Client, RequestFactory

from bucket.factory import get_bucket
from bucket.folder import FolderBucket
from core.exceptions import BucketError
from devtools import servers
from devtools.faulty_s3 import Fault, FaultyS3
from inference.downloads import stream_file
from models_registry.models import Artifact, RegisteredModel
from models_registry.projects.versions import promote_version
from tests.factories import ArtifactFactory, RegisteredModelFactory

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 4
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


def with_file(
    kind: str = "onnx", name: str = "flowers.onnx", *, content: bytes = CONTENT, **fields: Any
) -> RegisteredModel:
    model = RegisteredModelFactory(**fields)
    key = f"{model.task_type}/{model.token}/1/{name}"
    digest = hashlib.sha256(content).hexdigest()
    ArtifactFactory(model=model, kind=kind, key=key, size=len(content), sha256=digest)
    get_bucket().save(key, BytesIO(content))
    return model


def get(model: RegisteredModel, wanted: str = "onnx", **headers: str) -> Any:
    return Client().get(f"/api/v1/models/{model.token}/download/?format={wanted}", headers=headers)


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.mark.parametrize(
    ("wanted", "kind", "name", "ending"),
    [
        ("onnx", "onnx", "a.onnx", ".onnx"),
        ("onnx-int8", "onnx-int8", "a.int8.onnx", ".int8.onnx"),
        ("pytorch", "torchscript", "b.pt", ".pt"),
        ("metadata", "metadata", "c.json", "_metadata.json"),
        ("metadata", "metadata", "c_metadata.pkl", "_metadata.pkl"),
    ],
)
def test_a_file_is_saved_under_a_public_name_and_never_shown(
    wanted: str, kind: str, name: str, ending: str
) -> None:
    model = with_file(kind, name)
    response = get(model, wanted)
    assert response.status_code == 200
    assert body(response) == CONTENT
    assert (
        response["Content-Disposition"] == f'attachment; filename="flowers-{model.public_id.hex[:8]}{ending}"'
    )
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
        ("bytes=" + "0" * 5000 + "5-6", 5, 7),
        ("bytes=1000-" + "9" * 5000, 1000, 1024),
        ("bytes=-" + "9" * 5000, 0, 1024),
    ],
)
def test_a_part_of_a_file(asked: str, start: int, stop: int) -> None:
    response = get(with_file(), Range=asked)
    assert response.status_code == 206
    assert body(response) == CONTENT[start:stop]
    assert response["Content-Range"] == f"bytes {start}-{stop - 1}/1024"
    assert response["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", ["bytes=1024-", "bytes=9999-10000", "bytes=-0", "bytes=" + "9" * 5000 + "-"]
)
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
    get_bucket().delete(key)
    assert get(model).status_code == 404
    get_bucket().save(key, BytesIO(b"another file"))
    assert get(model).status_code == 503


def test_a_bucket_that_is_away_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_file()

    def refuse(bucket: FolderBucket, key: str) -> int:
        raise BucketError(f"no answer for {key}")

    monkeypatch.setattr(FolderBucket, "size", refuse)
    response = get(model)
    assert response.status_code == 503
    assert "cannot be fetched from the bucket now" in response.json()["detail"]
    assert model.token not in response.json()["detail"]


@pytest.fixture(scope="module")
def s3() -> Iterator[servers.S3Server]:
    with servers.s3_server() as server:
        yield server


@pytest.fixture
def in_s3(s3: servers.S3Server, settings: Any, monkeypatch: pytest.MonkeyPatch) -> servers.S3Server:
    """The bucket of the test is one of a real server."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    settings.S3_BUCKET, settings.S3_ENDPOINT_URL = s3.bucket, s3.endpoint
    get_bucket.cache_clear()
    return s3


@pytest.mark.servers
@pytest.mark.usefixtures("in_s3")
def test_s3_hands_out_the_file_by_an_address_that_is_signed_and_short_lived() -> None:
    model = with_file(name="größe 1.onnx")
    response = get(model)
    assert response.status_code == 302
    address = response["Location"]
    assert int(parse_qs(urlsplit(address).query)["X-Amz-Expires"][0]) == 300
    got = requests.get(address, headers={"Range": "bytes=0-9"}, timeout=10)
    assert (got.status_code, got.content) == (206, CONTENT[:10])
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert f"flowers-{model.public_id.hex[:8]}.onnx" in got.headers["Content-Disposition"]
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert requests.get(address.partition("?")[0], timeout=10).status_code == 403


def streamed(model: RegisteredModel, **headers: str) -> Any:
    """What the platform sends itself, wherever the bucket is."""
    artifact = model.artifacts.get()
    return stream_file(RequestFactory().get("/", headers=headers), artifact)


@pytest.mark.servers
@pytest.mark.usefixtures("in_s3")
def test_s3_is_streamed_through_whole_and_in_parts() -> None:
    model = with_file()
    whole, part = streamed(model), streamed(model, Range="bytes=1000-", **{"If-Range": ETAG})
    assert (whole.status_code, body(whole)) == (200, CONTENT)
    assert (whole["Content-Length"], whole["ETag"]) == ("1024", ETAG)
    assert whole["Content-Disposition"].startswith("attachment")
    assert (part.status_code, body(part)) == (206, CONTENT[1000:])
    assert part["Content-Range"] == "bytes 1000-1023/1024"
    assert streamed(model, **{"If-None-Match": ETAG}).status_code == 304
    assert streamed(model, Range="bytes=1024-").status_code == 416


@pytest.mark.servers
@pytest.mark.usefixtures("in_s3")
def test_s3_file_of_a_project_comes_without_the_key_that_holds_its_versions_token() -> None:
    model = with_file()
    promote_version(project=model.project, version=1)
    response = Client().get(f"/api/v1/models/{model.project.token}/download/?format=onnx")
    assert (response.status_code, body(response)) == (200, CONTENT)
    assert model.token not in str(response.headers)


@pytest.mark.servers
@pytest.mark.usefixtures("in_s3")
def test_s3_file_that_went_is_a_404_and_one_that_was_swapped_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = with_file()
    key = model.artifacts.get().key
    get_bucket().delete(key)
    with pytest.raises(Http404):
        streamed(model)
    with monkeypatch.context() as between, pytest.raises(Http404):  # it went after it was looked for
        between.setattr("inference.downloads.stored_size", lambda artifact: artifact.size)
        streamed(model)
    get_bucket().save(key, BytesIO(b"another file"))
    with pytest.raises(BucketError):
        streamed(model)


@pytest.mark.servers
@pytest.mark.parametrize("place", ["folder", "S3"])
def test_a_large_file_passes_through_in_the_memory_of_a_piece(
    place: str, request: pytest.FixtureRequest
) -> None:
    if place == "S3":
        request.getfixturevalue("in_s3")
    content = bytes(40 * 2**20)
    model = with_file(content=content)
    body(streamed(model, Range="bytes=0-9"))  # whatever is loaded once
    tracemalloc.start()
    try:
        sent = sum(map(len, streamed(model).streaming_content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == len(content)
    assert peak < 8 * 2**20


def test_a_download_that_is_broken_off_closes_its_file(bucket: Path) -> None:
    model = with_file(content=bytes(3 * 2**20))
    response = get(model)
    next(iter(response.streaming_content))
    assert open_files_below(bucket)
    response.close()
    assert not open_files_below(bucket)


def open_files_below(folder: Path) -> list[str]:
    links = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [link for link in links if link.startswith(str(folder))]


@pytest.mark.servers
def test_s3_answer_that_is_cut_off_is_asked_for_again(
    in_s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_file(content=bytes(3 * 2**20))
    with FaultyS3(in_s3) as line:
        monkeypatch.setattr("django.conf.settings.S3_ENDPOINT_URL", line.server.endpoint)
        get_bucket.cache_clear()
        line.cause(Fault.CUT_ANSWER, method="GET", key="*.onnx", times=1)
        response = streamed(model)
        assert body(response) == bytes(3 * 2**20)
        assert [one.fault for one in line.log() if one.fault] == [Fault.CUT_ANSWER]


@pytest.mark.servers
def test_s3_answer_that_is_cut_off_is_never_completed_with_another_file(
    in_s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_file(content=bytes(3 * 2**20))
    with FaultyS3(in_s3) as line:
        monkeypatch.setattr("django.conf.settings.S3_ENDPOINT_URL", line.server.endpoint)
        get_bucket.cache_clear()
        line.cause(Fault.CUT_ANSWER, method="GET", key="*.onnx", times=1)
        pieces = iter(streamed(model).streaming_content)
        assert next(pieces) == bytes(2**20)
        get_bucket().save(model.artifacts.get().key, BytesIO(b"x" * 3 * 2**20))
        with pytest.raises(BucketError):
            list(pieces)
