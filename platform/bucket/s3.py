"""A bucket on an S3 server."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, TypedDict

from django.core.files import File

from core.exceptions import BucketError

from .base import Bucket, Conflict, Missing, Reader, Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, GetObjectOutputTypeDef
    from storages.backends.s3 import S3Storage

JSON_TYPE = "application/json"
PART_BYTES = 5 * 2**20  # of a document written in pieces, the least that S3 allows; 10,000 are 50 GiB
CUTS = 3  # times in a row that an answer may be cut off before anything of it has arrived
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
    """An S3 bucket, written with If-Match and If-None-Match.

    django-storages connects, uploads files in parts and signs addresses; its client does what it has no words for.
    """

    def __init__(self, storage: "S3Storage") -> None:
        self.storage = storage
        self.client: S3Client = storage.connection.meta.client  # one for all threads, which boto3 allows
        self.bucket: str = storage.bucket_name

    def __str__(self) -> str:
        return f"the bucket {self.bucket} at {self.client.meta.endpoint_url}"

    def get(self, key: str) -> Stored | None:
        with self.errors(key):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=key)
                return Stored(answer["Body"].read(), answer["ETag"])
            except self.client.exceptions.NoSuchKey:
                return None

    def head(self, key: str) -> str | None:
        found = self._describe(key)
        return found[0] if found else None

    def size(self, key: str) -> int | None:
        found = self._describe(key)
        return found[1] if found else None

    def _describe(self, key: str) -> tuple[str, int] | None:
        """Return ETag and bytes; None when there is nothing."""
        from botocore.exceptions import ClientError

        with self.errors(key):
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:  # a HEAD has no body, so only its number tells
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                    return None
                raise
        return found["ETag"], found["ContentLength"]

    def open(self, key: str, part: range | None = None) -> Reader:
        return S3Reader(self, key, part)

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        with self.errors(key):
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
        with self.errors(key):
            upload = self.client.create_multipart_upload(**where, ContentType=JSON_TYPE)["UploadId"]
            try:
                parts = self._upload_parts(where, upload, first, reader)
                answer = self.client.complete_multipart_upload(
                    **where, UploadId=upload, MultipartUpload={"Parts": parts}, **_condition(if_match)
                )
            except BaseException:
                with contextlib.suppress(Exception):  # the first error is the one to report
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

    def save(self, key: str, source: BinaryIO) -> None:
        with self.errors(key):
            self.storage.save(key, File(source, name=key))

    def list(self, folder: str) -> Iterator[tuple[str, int]]:
        with self.errors(folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
            for page in pages:
                for found in page.get("Contents", []):
                    if not found["Key"].endswith("/"):  # how some programs make a folder
                        yield found["Key"], found["Size"]

    def copy(self, source: str, target: str) -> None:
        with self.errors(source):
            self.client.copy({"Bucket": self.bucket, "Key": source}, self.bucket, target)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        try:
            with self.errors(key):
                if if_match is None:
                    self.client.delete_object(Bucket=self.bucket, Key=key)
                else:
                    self.client.delete_object(Bucket=self.bucket, Key=key, IfMatch=if_match)
        except Conflict:
            if self.head(key) is not None:
                raise

    def delete_folder(self, folder: str) -> int:
        keys = [key for key, _ in self.list(folder)]
        for key in keys:
            self.delete(key)
        return len(keys)

    def signed_address(self, key: str, *, disposition: str, content_type: str, lasts: timedelta) -> str:
        headers = {"ResponseContentDisposition": disposition, "ResponseContentType": content_type}
        return str(self.storage.url(key, parameters=headers, expire=int(lasts.total_seconds())))

    @contextlib.contextmanager
    def errors(self, key: str) -> Iterator[None]:
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


class S3Reader(Reader):
    """An answer of the server; one that is cut off is asked for again from there, as long as the file is the same.

    boto3 retries only until an answer begins, and a server may close the connection of a slow reader.
    """

    def __init__(self, bucket: S3Bucket, key: str, part: range | None) -> None:
        self._bucket, self._key = bucket, key
        answer = self._ask("" if part is None else _span(part), {})
        self._etag, self._body = answer["ETag"], answer["Body"]
        self.size = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
        self._left = range(self.size) if part is None else part
        if answer["ContentLength"] != len(self._left):
            self.close()
            raise BucketError(f"{key} has {self.size:,} bytes, fewer than the {self._left.stop:,} asked for.")

    def read(self, size: int = -1) -> bytes:
        from botocore.exceptions import BotoCoreError

        if size < 0:
            return b"".join(self)
        for _ in range(CUTS):
            try:
                piece = self._body.read(size)  # at the end of a whole file, this compares its checksum
            except BotoCoreError as error:
                if not self._left:
                    raise BucketError(f"{self._key} did not arrive as it was sent: {error}") from error
            else:
                self._left = self._left[len(piece) :]
                return piece
            self.close()
            self._body = self._ask(_span(self._left), {"IfMatch": self._etag})["Body"]
        raise BucketError(f"The S3 server cut off {self._key} {CUTS} times in a row.")

    def close(self) -> None:
        self._body.close()

    def _ask(self, span: str, condition: _Condition) -> "GetObjectOutputTypeDef":
        client, where = self._bucket.client, _Where(Bucket=self._bucket.bucket, Key=self._key)
        with self._bucket.errors(self._key):
            try:
                if not span:
                    return client.get_object(**where)
                return client.get_object(**where, Range=span, **condition)
            except client.exceptions.NoSuchKey as error:
                raise Missing(self._key) from error


def _span(part: range) -> str:
    return f"bytes={part.start}-{part.stop - 1}"
