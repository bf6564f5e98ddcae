"""Where documents lie: one interface with conditional writes, in a folder or on an S3 server."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from django.conf import settings

from core.exceptions import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Stored(NamedTuple):
    """A document's bytes and the ETag under which they were found."""

    body: bytes
    etag: str


class Conflict(Exception):
    """The document is not the one we read: read it again, merge again."""


class DocumentStore(ABC):
    """Documents by key. Every method raises `BucketError` when the bucket does not answer."""

    @abstractmethod
    def get(self, key: str) -> Stored | None:
        """Read a document; None when there is none."""

    @abstractmethod
    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        """Write when the ETag still is `if_match`, or, for None, when there is no document.

        Returns the new ETag. Raises `Conflict` when somebody else was first.
        """

    @abstractmethod
    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write a document of any size in bounded memory; it appears whole or not at all."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a document; none there is fine."""


class FolderStore(DocumentStore):
    """A folder with the bucket's keys as paths; the ETag is the content's hash."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> Stored | None:
        try:
            body = (self.root / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BucketError(f"Cannot read {key}: {error}.") from error
        return Stored(body, self._etag(body))

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        with self._lock(key):
            current = self.get(key)
            if (current.etag if current else None) != if_match:
                raise Conflict(key)
            self._replace(key, [body])
        return self._etag(body)

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        self._replace(key, chunks)

    def delete(self, key: str) -> None:
        try:
            (self.root / key).unlink(missing_ok=True)
        except OSError as error:
            raise BucketError(f"Cannot delete {key}: {error}.") from error

    @staticmethod
    def _etag(body: bytes) -> str:
        return f'"{hashlib.sha256(body).hexdigest()}"'

    def _replace(self, key: str, chunks: Iterable[bytes]) -> None:
        path = self.root / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise BucketError(f"Cannot write {key}: {error}.") from error

    @contextlib.contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        path = self.root / ".locks" / key.replace("/", "%")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
        except OSError as error:
            raise BucketError(f"Cannot lock {key}: {error}.") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class ChunkReader:
    """Gives an iterator of chunks the `read` that boto3's upload wants."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; all that is left for a negative size."""
        pieces, length = [self._left], len(self._left)
        while size < 0 or length < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            pieces.append(chunk)
            length += len(chunk)
        joined = b"".join(pieces)
        cut = len(joined) if size < 0 else size
        self._left = joined[cut:]
        return joined[:cut]


class S3Store(DocumentStore):
    """An S3 bucket, written with If-Match and If-None-Match."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    def get(self, key: str) -> Stored | None:
        with self._errors(key):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=key)
                return Stored(answer["Body"].read(), answer["ETag"])
            except self.client.exceptions.NoSuchKey:
                return None

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        put = partial(
            self.client.put_object, Bucket=self.bucket, Key=key, Body=body, ContentType="application/json"
        )
        with self._errors(key):
            answer = put(IfNoneMatch="*") if if_match is None else put(IfMatch=if_match)
        return answer["ETag"]

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        with self._errors(key):
            self.client.upload_fileobj(
                cast("IO[bytes]", ChunkReader(chunks)),
                self.bucket,
                key,
                ExtraArgs={"ContentType": "application/json"},
            )

    def delete(self, key: str) -> None:
        with self._errors(key):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    @contextlib.contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Translate boto's errors: 412 and 409 (and 404 on If-Match) are conflicts, the rest outages."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in (404, 409, 412) and error.operation_name == "PutObject":
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
