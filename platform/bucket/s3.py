"""A bucket on an S3 server."""

import contextlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypedDict, cast

from core.exceptions import BucketError

from .base import READ_AT_ONCE, Bucket, Conflict, Missing, Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

JSON_TYPE = "application/json"
PART_BYTES = 5 * 2**20  # of a document written in pieces, the least that S3 allows; 10,000 are 50 GiB
CONDITIONAL = ("PutObject", "CompleteMultipartUpload", "DeleteObject")


class _Where(TypedDict):
    Bucket: str
    Key: str


class _Condition(TypedDict, total=False):
    IfMatch: str
    IfNoneMatch: str


def _condition(if_match: str | None) -> _Condition:
    return {"IfNoneMatch": "*"} if if_match is None else {"IfMatch": if_match}


class ChunkReader:
    """Cuts an iterator of chunks into pieces of one size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; all that is left for a negative size."""
        pieces, missing = [], size
        while missing:
            chunk, self._left = self._left or next(self._chunks, None), b""
            if chunk is None:
                break
            if 0 <= missing < len(chunk):
                chunk, self._left = chunk[:missing], chunk[missing:]
            pieces.append(chunk)
            missing -= len(chunk) if size >= 0 else 0
        return b"".join(pieces)


class S3Bucket(Bucket):
    """An S3 bucket, written with If-Match and If-None-Match."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    def __str__(self) -> str:
        return f"the bucket {self.bucket} at {self.client.meta.endpoint_url}"

    def get(self, key: str) -> Stored | None:
        with self._errors(key):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=key)
                return Stored(answer["Body"].read(), answer["ETag"])
            except self.client.exceptions.NoSuchKey:
                return None

    def head(self, key: str) -> str | None:
        from botocore.exceptions import ClientError

        with self._errors(key):
            try:
                return self.client.head_object(Bucket=self.bucket, Key=key)["ETag"]
            except ClientError as error:  # a HEAD has no body, so only its number tells
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                    return None
                raise

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO | None]:
        with self._errors(key):
            try:
                body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
            except self.client.exceptions.NoSuchKey:
                yield None
                return
            with contextlib.closing(body):
                yield cast("BinaryIO", body)

    def pieces(self, key: str, part: range) -> Generator[bytes, None, None]:
        """Ask for each piece by itself, so that no connection to the server waits for a slow reader."""
        condition: _Condition = {}
        for start in range(part.start, part.stop, READ_AT_ONCE):
            wanted = range(start, min(start + READ_AT_ONCE, part.stop))
            piece, etag = self._piece(key, wanted, condition)
            if len(piece) < len(wanted):
                raise BucketError(f"{key} has less than the {part.stop:,} bytes that it should have.")
            condition = {"IfMatch": etag}
            yield piece

    def _piece(self, key: str, part: range, condition: "_Condition") -> tuple[bytes, str]:
        """Return some bytes of a file and its ETag; what is cut off on its way is asked for once more."""
        from botocore.exceptions import BotoCoreError

        span = f"bytes={part.start}-{part.stop - 1}"
        with self._errors(key):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=key, Range=span, **condition)
            except self.client.exceptions.NoSuchKey as error:
                raise Missing(key) from error
            try:
                return answer["Body"].read(), answer["ETag"]
            except BotoCoreError:  # boto tries again by itself only until an answer begins
                condition = {"IfMatch": answer["ETag"]}
            answer = self.client.get_object(Bucket=self.bucket, Key=key, Range=span, **condition)
            return answer["Body"].read(), answer["ETag"]

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        with self._errors(key):
            answer = self.client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=JSON_TYPE, **_condition(if_match)
            )
        return answer["ETag"]

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_match: str | None) -> str:
        reader = ChunkReader(chunks)
        first = reader.read(PART_BYTES)
        if len(first) < PART_BYTES:
            return self.put(key, first, if_match=if_match)
        where: _Where = {"Bucket": self.bucket, "Key": key}
        with self._errors(key):
            upload = self.client.create_multipart_upload(**where, ContentType=JSON_TYPE)["UploadId"]
            try:
                parts = self._upload_parts(where, upload, first, reader)
                answer = self.client.complete_multipart_upload(
                    **where, UploadId=upload, MultipartUpload={"Parts": parts}, **_condition(if_match)
                )
            except BaseException:
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    self.client.abort_multipart_upload(**where, UploadId=upload)
                raise
        return answer["ETag"]

    def _upload_parts(
        self, where: "_Where", upload: str, first: bytes, reader: "ChunkReader"
    ) -> "list[CompletedPartTypeDef]":
        parts: list[CompletedPartTypeDef] = []
        body = first
        while body:
            number = len(parts) + 1
            answer = self.client.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            body = reader.read(PART_BYTES)
        return parts

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._errors(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", []):
                    if not found["Key"].endswith("/"):  # how some programs make a folder
                        yield found["Key"], found["Size"]

    def copy(self, source: str, target: str) -> None:
        with self._errors(source):
            self.client.copy({"Bucket": self.bucket, "Key": source}, self.bucket, target)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        try:
            with self._errors(key):
                if if_match is None:
                    self.client.delete_object(Bucket=self.bucket, Key=key)
                else:
                    self.client.delete_object(Bucket=self.bucket, Key=key, IfMatch=if_match)
        except Conflict:
            if self.head(key) is not None:
                raise

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Translate boto's errors: 412 and 409 (and 404 on If-Match) are conflicts, the rest outages."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in (404, 409, 412) and error.operation_name in CONDITIONAL:
                if error.response.get("Error", {}).get("Code") == "NoSuchBucket":
                    raise BucketError(f"There is no bucket {self.bucket}: create it first.") from error
                raise Conflict(key) from error
            raise BucketError(f"The S3 server refused {key}: {error}") from error
        except (BotoCoreError, Boto3Error) as error:
            raise BucketError(f"The S3 server did not answer for {key}: {error}") from error
