"""What an S3 server does to its clients: it is away, cuts answers off, hands out addresses."""

from collections.abc import Iterator
from io import BytesIO

import pytest

from bucket.base import Missing
from bucket.s3 import CUTS, ChunkReader, S3Bucket
from core.exceptions import BucketError
from devtools import servers
from devtools.faulty_s3 import Fault, FaultyS3

CONTENT = bytes(range(256)) * 12288  # 3 MiB


@pytest.fixture(scope="module")
def server() -> Iterator[servers.S3Server]:
    with servers.s3_server() as running:
        yield running


@pytest.fixture
def bucket(server: servers.S3Server) -> S3Bucket:
    found = S3Bucket(server.storage())
    found.save("file.onnx", BytesIO(CONTENT))
    return found


def test_s3_that_is_down_says_so() -> None:
    nowhere = servers.S3Server(f"http://127.0.0.1:{servers.free_port()}", "nowhere", "nobody", "nothing")
    with pytest.raises(BucketError, match=r"a\.json"):
        S3Bucket(nowhere.storage()).get("a.json")


@pytest.mark.servers
@pytest.mark.parametrize("part", [None, range(10, 3 * 2**20 - 10)])
def test_answer_that_is_cut_off_goes_on_where_it_ended(
    server: servers.S3Server, bucket: S3Bucket, part: range | None
) -> None:
    with FaultyS3(server) as line:
        line.cause(Fault.CUT_ANSWER, method="GET", key="file.onnx", times=2)
        with S3Bucket(line.server.storage()).open("file.onnx", part) as source:
            assert source.size == len(CONTENT)
            assert source.read() == (CONTENT if part is None else CONTENT[part.start : part.stop])
        faults = [one.fault for one in line.log() if one.method == "GET"]
    assert faults == [Fault.CUT_ANSWER, Fault.CUT_ANSWER, None]


@pytest.mark.servers
@pytest.mark.parametrize("after", ["replaced", "deleted"])
def test_answer_that_is_cut_off_never_goes_on_with_another_file(
    server: servers.S3Server, bucket: S3Bucket, after: str
) -> None:
    with FaultyS3(server) as line:
        line.cause(Fault.CUT_ANSWER, method="GET", key="file.onnx", times=1)
        with S3Bucket(line.server.storage()).open("file.onnx") as source:
            assert source.read(1000) == CONTENT[:1000]
            if after == "replaced":
                bucket.save("file.onnx", BytesIO(CONTENT[::-1]))
            else:
                bucket.delete("file.onnx")
            with pytest.raises(BucketError) as raised:
                source.read()
    assert isinstance(raised.value, Missing) == (after == "deleted")


@pytest.mark.servers
def test_server_that_cuts_off_every_answer_is_an_error(server: servers.S3Server, bucket: S3Bucket) -> None:
    with FaultyS3(server) as line:
        line.cause(Fault.CUT_ANSWER, method="GET", key="file.onnx")
        source = S3Bucket(line.server.storage()).open("file.onnx")
        with source, pytest.raises(BucketError, match=f"{CUTS} times"):
            source.read()


@pytest.mark.servers
@pytest.mark.parametrize(
    ("key", "content_type"),
    [("a.json", "application/json"), ("a.csv", "text/csv"), ("a.onnx", "application/octet-stream")],
)
def test_saved_file_has_the_type_of_its_name(bucket: S3Bucket, key: str, content_type: str) -> None:
    bucket.save(key, BytesIO(b"x"))
    assert bucket.client.head_object(Bucket=bucket.bucket, Key=key)["ContentType"] == content_type


@pytest.mark.parametrize("size", [1, 3, 7, 100, -1])
def test_chunk_reader_cuts_chunks_as_asked(size: int) -> None:
    reader, read = ChunkReader([b"ab", b"", b"cdefg", b"h"]), []
    while piece := reader.read(size):
        assert size < 0 or len(piece) <= size
        read.append(piece)
    assert b"".join(read) == b"abcdefgh"
