"""The bad line itself: each fault does to a real client what its name says. The proofs rest on it."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from devtools import servers
from devtools.faulty_s3 import UNHEARD, Fault, FaultyS3

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server() -> Iterator[servers.S3Server]:
    with servers.s3_server() as running:
        yield running


@pytest.fixture
def line(server: servers.S3Server) -> Iterator[FaultyS3]:
    with FaultyS3(server) as between:
        yield between


@pytest.fixture
def client(line: FaultyS3) -> Any:
    return line.server.client(attempts=1)


@pytest.fixture
def direct(server: servers.S3Server, line: FaultyS3) -> Any:
    client = server.client()
    client.delete_object(Bucket=server.bucket, Key="a.json")
    return client


def test_good_line_passes_conditions_and_signatures_on(line: FaultyS3, client: Any, direct: Any) -> None:
    at = {"Bucket": line.server.bucket, "Key": "a.json"}
    etag = client.put_object(**at, Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as refused:
        client.put_object(**at, Body=b"2", IfNoneMatch="*")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    client.put_object(**at, Body=b"2", IfMatch=etag)
    assert client.get_object(**at)["Body"].read() == b"2"
    assert client.head_object(**at)["ContentLength"] == 1
    assert [(one.method, one.status) for one in line.log(key="a.json")] == [
        ("PUT", 200),
        ("PUT", 412),
        ("PUT", 200),
        ("GET", 200),
        ("HEAD", 200),
    ]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.DELAY])
def test_fault_hides_or_prevents_a_write(line: FaultyS3, client: Any, direct: Any, fault: Fault) -> None:
    line.cause(fault, method="PUT", times=1)
    at = {"Bucket": line.server.bucket, "Key": "a.json"}
    if fault is Fault.CUT_ANSWER:  # the answer to a PUT has no body to cut
        client.put_object(**at, Body=b"1")
    else:
        with pytest.raises((BotoCoreError, ClientError)):
            client.put_object(**at, Body=b"1")
    found = [one["Key"] for one in direct.list_objects_v2(Bucket=line.server.bucket).get("Contents", [])]
    assert found == ([] if fault in UNHEARD else ["a.json"])
    assert line.landed("PUT", "a.json") == len(found)
    client.put_object(**at, Body=b"2")  # once is once


def test_cut_answer_is_noticed_by_the_reader(line: FaultyS3, client: Any, direct: Any) -> None:
    at = {"Bucket": line.server.bucket, "Key": "a.json"}
    client.put_object(**at, Body=b"x" * 100_000)
    line.cause(Fault.CUT_ANSWER, method="GET")
    with pytest.raises(BotoCoreError):
        client.get_object(**at)["Body"].read()


def test_line_that_is_down_breaks_open_connections_too(line: FaultyS3, client: Any, direct: Any) -> None:
    at = {"Bucket": line.server.bucket, "Key": "a.json"}
    client.put_object(**at, Body=b"1")
    with line.down(), pytest.raises(BotoCoreError):
        client.put_object(**at, Body=b"2")
    assert client.get_object(**at)["Body"].read() == b"1"


def test_client_that_retries_meets_its_own_write(line: FaultyS3, direct: Any) -> None:
    """What botocore does when the answer of a conditional write is lost; the reason for much of the mirror."""
    line.cause(Fault.LOSE_ANSWER, method="PUT", times=1)
    with pytest.raises(ClientError, match=r"PreconditionFailed|412"):
        line.server.client(attempts=3).put_object(
            Bucket=line.server.bucket, Key="a.json", Body=b"1", IfNoneMatch="*"
        )
    assert [one.status for one in line.log("PUT", "a.json")] == [200, 412]
