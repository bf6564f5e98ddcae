"""Checkpoints between the trainer's folder and the bucket, so that the next attempt goes on.

Each attempt has a folder of its own, `training/jobs/<token>/checkpoint/<attempt>/`. Files lie there
under their SHA-256, so that what has not changed is not uploaded again. A checkpoint's manifest,
`<number>.json`, names the files that belong together and is written last: without one they do not
count, so a half-uploaded checkpoint is never used. Names, sizes and SHA-256 are checked when it is
fetched. All folders go when the job has ended.
"""

import contextlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import structlog
from django.conf import settings

from bucket.factory import get_bucket
from bucket.files import download

from ..datasets.files import hash_file
from ..jobs.files import checkpoint_prefix
from ..jobs.models import TrainingJob

logger = structlog.get_logger(__name__)

MANIFEST = re.compile(r"(\d{1,9})\.json")
SAFE_NAME = re.compile(r"checkpoint[A-Za-z0-9_.-]{0,80}\.(pt|npz|safetensors|json)")


class UnusableCheckpoint(Exception):
    """The checkpoint in the bucket is incomplete or damaged."""


@dataclass(frozen=True)
class CheckpointFile:
    """A file of a checkpoint: bytes and SHA-256."""

    name: str
    size: int
    sha256: str

    @property
    def stored_name(self) -> str:
        """Return the name under which the file lies in its attempt's folder."""
        return f"{self.sha256}-{self.name}"


@dataclass(frozen=True)
class Manifest:
    """The files of a checkpoint, and the epoch after which it was taken."""

    epoch: int
    files: tuple[CheckpointFile, ...]

    def to_bytes(self) -> bytes:
        """Return the manifest as it lies in the bucket."""
        return json.dumps(asdict(self), indent=2).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Read what lies in the bucket. Raises `UnusableCheckpoint`."""
        try:
            found = json.loads(content)
            files = tuple(CheckpointFile(**file) for file in found["files"])
            manifest = cls(epoch=int(found["epoch"]), files=files)
        except (ValueError, TypeError, KeyError) as error:
            raise UnusableCheckpoint(f"its manifest cannot be read: {error}") from error
        if not files or any(not SAFE_NAME.fullmatch(file.name) for file in files):
            raise UnusableCheckpoint("its manifest names files that no trainer writes")
        return manifest


class CheckpointKeeper:
    """Keeps the newest checkpoint of one attempt in the bucket, from a thread beside the training.

    A bucket that fails costs nothing but the progress since the last checkpoint that it took.
    """

    def __init__(self, job: TrainingJob, folder: Path) -> None:
        """Use `folder` for the trainer (`local`) and for what waits to be uploaded."""
        self.local = folder / "checkpoint"
        self.kept_epoch: int | None = None  # of the newest checkpoint that lies whole in the bucket
        self._prefix = checkpoint_prefix(job)
        self._attempt = job.attempt
        self._waiting_room = folder / "waiting"
        self._number = 0
        self._earlier: list[str] = []  # folders of earlier attempts
        self._uploaded: set[str] = set()  # names in this attempt's folder
        self._digests: dict[tuple[int, int, int], str] = {}  # by inode, time and size
        self._next: tuple[int, Path] | None = None  # epoch, folder
        self._changed = threading.Condition()
        self._done = False
        self._thread: threading.Thread | None = None

    def fetch(self) -> int | None:
        """Put the newest whole checkpoint of earlier attempts into `local`; returns its epoch, if any."""
        self.local.mkdir(parents=True)
        if self._attempt == 1:
            return None
        for key in self._stored():
            try:
                self.kept_epoch = self._download(key)
            except Exception as error:  # not whole, or a bucket that fails: an older one, or from the start
                logger.warning("checkpoint.not_used", key=key, error=str(error))
                _empty(self.local)
                continue
            logger.info("checkpoint.fetched", key=key, epoch=self.kept_epoch)
            return self.kept_epoch
        return None

    def take(self, files: Sequence[str], epoch: int) -> None:
        """Note a checkpoint that the trainer has just written; it is uploaded when its time has come.

        The files are linked aside at once, because the trainer replaces them with the next ones.
        """
        self._number += 1
        aside = self._waiting_room / str(self._number)
        aside.mkdir(parents=True)
        try:
            for name in files:
                if not SAFE_NAME.fullmatch(name):
                    raise UnusableCheckpoint(f"{name!r} is no name of a checkpoint's file")
                os.link(self.local / name, aside / name)
        except (OSError, UnusableCheckpoint) as error:
            logger.warning("checkpoint.not_taken", error=str(error))
            shutil.rmtree(aside, ignore_errors=True)
            return
        with self._changed:
            replaced, self._next = self._next, (epoch, aside)
            if self._thread is None:
                self._thread = threading.Thread(target=self._upload_all, name="checkpoints", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if replaced is not None:
            shutil.rmtree(replaced[1], ignore_errors=True)

    def flush(self, timeout: float) -> None:
        """Upload what waits now, and return when that is done, has failed, or took too long."""
        with self._changed:
            self._done = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def close(self) -> None:
        """Discard the checkpoint that waits, and wait for an upload that is under way."""
        with self._changed:
            self._done = True
            self._next = None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _upload_all(self) -> None:
        """Upload the newest checkpoint repeatedly until the training ends.

        Between two uploads lies the time that is set, or as much as the last one took.
        """
        usual = settings.TRAINYARD["CHECKPOINT_EVERY"].total_seconds()
        pause = usual
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._done, timeout=pause)
                self._changed.wait_for(lambda: self._done or self._next is not None)
                if self._next is None:
                    return
                (epoch, folder), self._next = self._next, None
            began = time.monotonic()
            try:
                self._upload(folder, epoch)
            except Exception as error:  # the bucket, the disk: the next one may land
                logger.warning("checkpoint.not_kept", epoch=epoch, error=str(error))
            shutil.rmtree(folder, ignore_errors=True)
            pause = max(usual, time.monotonic() - began)

    def _upload(self, folder: Path, epoch: int) -> None:
        bucket, prefix = get_bucket(), f"{self._prefix}{self._attempt}/"
        files = [self._describe(path) for path in sorted(folder.iterdir())]
        for file in files:
            if file.stored_name not in self._uploaded:
                with (folder / file.name).open("rb") as source:
                    bucket.save(f"{prefix}{file.stored_name}", source)
                self._uploaded.add(file.stored_name)
        manifest = f"{folder.name}.json"
        bucket.save(f"{prefix}{manifest}", BytesIO(Manifest(epoch, tuple(files)).to_bytes()))
        self.kept_epoch = epoch
        logger.debug("checkpoint.kept", epoch=epoch, bytes=sum(file.size for file in files))
        self._uploaded.add(manifest)
        self._forget_all_but({manifest, *(file.stored_name for file in files)})

    def _describe(self, path: Path) -> CheckpointFile:
        found = path.stat()
        same = (found.st_ino, found.st_mtime_ns, found.st_size)
        if same not in self._digests:
            self._digests[same] = hash_file(path)
        return CheckpointFile(path.name, found.st_size, self._digests[same])

    def _forget_all_but(self, kept: set[str]) -> None:
        """Delete older checkpoints; those that cannot be deleted now are when the job ends."""
        earlier, self._earlier = self._earlier, []
        for folder in earlier:
            with contextlib.suppress(Exception):
                get_bucket().delete_folder(folder)
        for name in self._uploaded - kept:
            with contextlib.suppress(Exception):
                get_bucket().delete(f"{self._prefix}{self._attempt}/{name}")
        self._uploaded = kept

    def _stored(self) -> list[str]:
        """Return the manifests of earlier attempts, newest first."""
        manifests: list[tuple[int, int, str]] = []
        attempts = set()
        for key, _ in get_bucket().list(self._prefix):
            attempt, _, name = key.removeprefix(self._prefix).partition("/")
            if attempt.isdecimal():
                attempts.add(int(attempt))
                if match := MANIFEST.fullmatch(name):
                    manifests.append((int(attempt), int(match[1]), key))
        self._earlier = [f"{self._prefix}{attempt}/" for attempt in attempts]
        return [key for _, _, key in sorted(manifests, reverse=True)]

    def _download(self, key: str) -> int:
        stored, folder = get_bucket().get(key), key.rpartition("/")[0]
        manifest = Manifest.from_bytes(stored.body if stored else b"")
        for file in manifest.files:
            source = f"{folder}/{file.stored_name}"
            download(source, self.local / file.name, sha256=file.sha256, limit=file.size)
        return manifest.epoch


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
