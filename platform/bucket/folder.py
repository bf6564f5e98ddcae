"""A bucket that is a folder: the keys are paths below it."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from core.exceptions import BucketError

from .base import PIECE, Bucket, Conflict, Missing, Reader, Stored

NOWHERE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)  # no file has this key
LOCKS = ".locks"
FILE_MODE = 0o644  # of files that are no documents: other programs on this machine may read them


class ImpossibleKey(Missing):
    """No file of a folder can have this key: it leads out of it, or is no path at all."""

    def __init__(self, key: str) -> None:
        BucketError.__init__(self, f"{key!r} is no key of this bucket.")


class FolderBucket(Bucket):
    """A folder with the bucket's keys as paths; the ETag is the content's hash.

    Conditions hold among all who write through this class; a program that writes files by itself
    should write another file and rename it. No key leads out of the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return f"the folder {self.root}"

    def get(self, key: str) -> Stored | None:
        try:
            with self.open(key) as file:
                body = file.read()
        except Missing:
            return None
        return Stored(body, f'"{hashlib.sha256(body).hexdigest()}"')

    def head(self, key: str) -> str | None:
        digest = hashlib.sha256()
        try:
            with self.open(key) as file:
                for piece in file:
                    digest.update(piece)
        except Missing:
            return None
        return f'"{digest.hexdigest()}"'

    def size(self, key: str) -> int | None:
        try:
            with self.open(key) as file:
                return file.size
        except Missing:
            return None

    def open(self, key: str, part: range | None = None) -> Reader:
        try:
            with _errors("read", key):
                return FolderReader(key, self._path(key).open("rb"), part)
        except Missing:
            if not self.root.is_dir():  # it is the bucket that is away, as with a disk that is not mounted
                raise BucketError(f"Cannot read {key}: the bucket's folder is not there.") from None
            raise

    def put(self, key: str, body: bytes, *, if_match: str | None) -> str:
        return self.put_stream(key, [body], if_match=if_match)

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_match: str | None) -> str:
        digest = hashlib.sha256()
        with _errors("write", key), self._draft(key) as (draft, file):
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            with self._lock(key):
                if self.head(key) != if_match:
                    raise Conflict(key)
                draft.replace(self._path(key))
        return f'"{digest.hexdigest()}"'

    def save(self, key: str, source: BinaryIO) -> None:
        with _errors("write", key), self._draft(key) as (draft, file):
            shutil.copyfileobj(source, file, PIECE)
            file.flush()
            draft.chmod(FILE_MODE)
            draft.replace(self._path(key))

    def list(self, folder: str) -> Iterator[tuple[str, int]]:
        with _errors("list", folder):
            for place, folders, names in os.walk(self._path(folder)):
                folders[:] = [name for name in folders if name != LOCKS]
                for name in names:
                    if not name.startswith("."):  # a draft that is being written
                        path = Path(place, name)
                        yield path.relative_to(self.root).as_posix(), path.stat().st_size

    def copy(self, source: str, target: str) -> None:
        with self.open(source) as file, _errors("copy", source), self._draft(target) as (draft, copy):
            for piece in file:
                copy.write(piece)
            copy.flush()
            draft.replace(self._path(target))

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        path = self._path(key)
        with _errors("delete", key):
            if if_match is None:
                path.unlink(missing_ok=True)
                return
            with self._lock(key):
                if self.head(key) not in (if_match, None):
                    raise Conflict(key)
                path.unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> int:
        deleted = 0
        with _errors("delete", folder):
            for place, _, names in os.walk(self._path(folder), topdown=False):
                for name in names:
                    Path(place, name).unlink(missing_ok=True)
                    deleted += 1
                with contextlib.suppress(OSError):  # a folder that is in use again
                    Path(place).rmdir()
        return deleted

    def signed_address(self, key: str, *, disposition: str, content_type: str, lasts: timedelta) -> None:
        return None

    def _path(self, key: str) -> Path:
        """Return where a file lies. Raises `ImpossibleKey`."""
        if key.startswith("/") or ".." in key.split("/") or "\0" in key:
            raise ImpossibleKey(key)
        try:
            os.fsencode(key)
        except UnicodeEncodeError as error:  # half a surrogate pair
            raise ImpossibleKey(key) from error
        return self.root / key

    @contextlib.contextmanager
    def _draft(self, key: str) -> Iterator[tuple[Path, BinaryIO]]:
        """Yield a new file beside the one with this key, to be written and renamed; what is left of it goes."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield Path(name), file
        finally:
            Path(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        path = self.root / LOCKS / key.replace("/", "%")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class FolderReader(Reader):
    """An open file of the folder; it keeps its content when another file is renamed to its name."""

    def __init__(self, key: str, file: BinaryIO, part: range | None) -> None:
        self._key, self._file = key, file
        self.size = os.fstat(file.fileno()).st_size
        self._left = self.size if part is None else len(part)
        if part is not None:
            file.seek(part.start)

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        with _errors("read", self._key):
            piece = self._file.read(wanted)
        if len(piece) < wanted:
            raise BucketError(f"{self._key} ended {wanted - len(piece):,} bytes early.")
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _errors(verb: str, key: str) -> Iterator[None]:
    """Translate the system's errors; a key that no file has is `Missing` for who reads."""
    try:
        yield
    except OSError as error:
        if verb == "read" and error.errno in NOWHERE:
            raise Missing(key) from error
        raise BucketError(f"Cannot {verb} {key}: {error}.") from error
