"""Where documents lie: one interface with conditional writes, in a folder or on an S3 server."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypedDict, cast

from django.conf import settings

from core.exceptions import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

JSON_TYPE = "application/json"
PART_BYTES = 5 * 2**20  # of a document written in pieces, the least that S3 allows; 10,000 are 50 GiB
READ_AT_ONCE = 2**20
NOWHERE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)  # no file has this key
CONDITIONAL = ("PutObject", "CompleteMultipartUpload", "DeleteObject")


class Stored(NamedTuple):
    """A document's bytes and the ETag under which they were found."""

    body: bytes
    etag: str


class Conflict(Exception):
    """The document is not the one we read: read it again, merge again."""


class Missing(BucketError):
    """There is no file under this key (any more)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no {key} in the bucket.")


class DocumentStore(ABC):
    """Documents by key. Every method raises `BucketError` when the bucket does not answer.

    Where a method takes `if_match`, it writes only while the document's ETag is that one, or, for
    None, while there is no document; it raises `Conflict` when somebody else was first.
    """

    @abstractmethod
    def get(self, key: str) -> Stored | None:
        """Read a document; None when there is none."""

    @abstractmethod
    def head(self, key: str) -> str | None:
        """Return a document's ETag without reading it; None when there is none."""

    @abstractmethod
    def open(self, key: str) -> "contextlib.AbstractContextManager[BinaryIO | None]":
        """Open a document of any size for reading from its begin to its end; None when there is none."""

    @abstractmethod
    def pieces(self, key: str, part: range) -> Generator[bytes, None, None]:
        """Yield a part of a file, in memory of one piece, however slowly they are taken.

        Raises `Missing` for a file that is not there, `BucketError` when it goes, changes or ends meanwhile.
        """

    @abstractmethod
    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        """Write a document; returns its new ETag."""

    @abstractmethod
    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_match: str | None) -> str:
        """Write a document of any size in bounded memory; it appears whole or not at all."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and bytes of everything below a prefix."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a document of any size inside the bucket."""

    @abstractmethod
    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Remove a document, or only the one with this ETag; none there is fine."""


class FolderStore(DocumentStore):
    """A folder with the bucket's keys as paths; the ETag is the content's hash.

    Conditions hold among all who write through this class; a program that writes files by itself
    should write another file and rename it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return f"the folder {self.root}"

    def get(self, key: str) -> Stored | None:
        with self._errors("read", key), self.open(key) as file:
            if file is None:
                return None
            body = file.read()
        return Stored(body, f'"{hashlib.sha256(body).hexdigest()}"')

    def head(self, key: str) -> str | None:
        digest = hashlib.sha256()
        with self.open(key) as file:
            if file is None:
                return None
            while piece := file.read(READ_AT_ONCE):
                digest.update(piece)
        return f'"{digest.hexdigest()}"'

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO | None]:
        with self._errors("read", key):
            try:
                file = (self.root / key).open("rb")
            except OSError as error:
                if error.errno not in NOWHERE:
                    raise
                file = None
            except ValueError:  # NUL, or half a surrogate pair
                file = None
        if file is None:
            yield None
            return
        with file:
            yield file

    def pieces(self, key: str, part: range) -> Generator[bytes, None, None]:
        with self._errors("read", key), contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context((self.root / key).open("rb"))
            except FileNotFoundError as error:
                raise Missing(key) from error
            file.seek(part.start)
            left = len(part)
            while left:
                piece = file.read(min(left, READ_AT_ONCE))
                if not piece:
                    raise BucketError(f"{key} ended {left:,} bytes early.")
                left -= len(piece)
                yield piece

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        return self.put_stream(key, [body], if_match=if_match)

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_match: str | None) -> str:
        path, digest = self.root / key, hashlib.sha256()
        with self._errors("write", key):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            draft = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    for chunk in chunks:
                        digest.update(chunk)
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                with self._lock(key):
                    if self.head(key) != if_match:
                        raise Conflict(key)
                    draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        return f'"{digest.hexdigest()}"'

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._errors("list", prefix):
            for folder, _, names in os.walk(self.root / prefix):
                for name in names:
                    if not name.startswith("."):  # a draft that is being written
                        path = Path(folder, name)
                        yield path.relative_to(self.root).as_posix(), path.stat().st_size

    def copy(self, source: str, target: str) -> None:
        with self._errors("copy", source):
            path = self.root / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / source, path)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        with self._errors("delete", key), self._lock(key):
            if if_match is not None and self.head(key) not in (if_match, None):
                raise Conflict(key)
            (self.root / key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        path = self.root / ".locks" / key.replace("/", "%")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BucketError(f"Cannot {verb} {key}: {error}.") from error


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


class S3Store(DocumentStore):
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


@lru_cache(maxsize=1)
def get_store() -> DocumentStore:
    """Return the configured store: S3 when a bucket is named, else a folder."""
    if not settings.S3_BUCKET:
        return FolderStore(Path(settings.BUCKET_FOLDER))
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
    )
    client = boto3.client("s3", endpoint_url=settings.S3_ENDPOINT_URL or None, config=config)
    return S3Store(client, settings.S3_BUCKET)
