"""A bucket that is a folder: the keys are paths below it."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from core.exceptions import BucketError

from .base import READ_AT_ONCE, Bucket, Conflict, Missing, Stored

NOWHERE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)  # no file has this key


class FolderBucket(Bucket):
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
