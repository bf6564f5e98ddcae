"""Somebody else who writes the documents: honest, busy, and with a book of its own.

Honest: it writes only what it has just read, changed, with If-Match. So nothing of it may be lost.
"""

import json
import random
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from devtools.servers import S3Server

Json = dict[str, Any]
PACE = 0.02  # seconds between two edits, so that it does not fill the machine


class Bucket(Protocol):
    """What an outsider needs of a bucket."""

    def read(self, key: str) -> tuple[bytes, str]:
        """Return the bytes and the ETag."""

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        """Write if the ETag still is this one; False when it is not."""

    def add(self, key: str, body: bytes) -> None:
        """Write a file."""

    def remove(self, key: str) -> None:
        """Delete a file."""


class S3Bucket:
    """A plain boto3 client."""

    def __init__(self, server: S3Server) -> None:
        self.client, self.name = server.client(attempts=3), server.bucket

    def read(self, key: str) -> tuple[bytes, str]:
        answer = self.client.get_object(Bucket=self.name, Key=key)
        return answer["Body"].read(), answer["ETag"]

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        try:
            self.client.put_object(Bucket=self.name, Key=key, Body=body, IfMatch=etag)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                return False
            raise
        return True

    def add(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)


class FolderBucket:
    """The folder, by the store's conditional write: there is no other honest way."""

    def __init__(self, root: Path) -> None:
        from bucket.folder import FolderBucket

        self.root, self.store = root, FolderBucket(root)

    def read(self, key: str) -> tuple[bytes, str]:
        stored = self.store.get(key)
        assert stored is not None
        return stored.body, stored.etag

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        from bucket.base import Conflict

        try:
            self.store.put(key, body, if_match=etag)
        except Conflict:
            return False
        return True

    def add(self, key: str, body: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(body)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


class Outsider(threading.Thread):
    """Edits until it is told to end, and has made at least `edits` edits.

    `entries` says what inference.json must hold of it: token → the entry, or None for a deleted one.
    `strange` are top-level keys that are no models, `note` stands in the entry of the platform's model
    `noted`, `dev_mode` and `remark` in status.json.
    """

    def __init__(
        self, bucket: Bucket, *, noted: str, edits: int, name: str = "foreign", seed: int = 0
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.bucket, self.noted, self.edits = bucket, noted, edits
        self.dice = random.Random(seed)
        self.ending = threading.Event()
        self.entries: dict[str, Json | None] = {}
        self.strange: dict[str, Any] = {}
        self.note = self.remark = self.made = 0
        self.dev_mode = False
        self.refused = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Edit; what goes wrong is for `end` to raise."""
        try:
            done = 0
            while done < self.edits or not self.ending.is_set():
                self.dice.choice(
                    [self.add, self.add, self.edit, self.delete, self.annotate, self.add_strange, self.flip]
                )()
                done += 1
                self.ending.wait(PACE)
        except Exception as error:  # raised by `end` in the test's own thread
            self.error = error

    def end(self) -> None:
        """Let it finish what it has to do."""
        self.ending.set()
        self.join(120)
        assert not self.is_alive(), "the outsider never got its edits through"
        if self.error is not None:
            raise self.error

    def change(self, key: str, edit: Callable[[Json], None]) -> None:
        """Read, change, write with If-Match; again when somebody else was first."""
        while True:
            body, etag = self.bucket.read(key)
            document = json.loads(body)
            edit(document)
            if self.bucket.replace(key, json.dumps(document).encode(), etag):
                return
            self.refused += 1

    def add(self) -> None:
        """Put a model of its own there, files first."""
        self.made += 1
        token = f"imageClassification-{self.name}-{self.made}"
        for ending in ("pt", "onnx"):
            self.bucket.add(f"imageclassification/{token}.{ending}", b"foreign")
        entry = {
            "task_type": "imageclassification",
            "model_filename": f"imageclassification/{token}.pt",
            "model_filename_onnx": f"imageclassification/{token}.onnx",
            "classes": ["lemon", "pizza"],
            "downloadable": True,
            "accuracy": round(self.dice.uniform(50, 99), 2),
            "accuracy_plot": "/9j/4AAQSkZJRgABAQEAZABkAAD/",
            "created": "10-01-21 18:13",
            "theirs": {"made_by": "another program"},
        }
        self.change("inference.json", lambda document: document.update({token: entry}))
        self.entries[token] = entry

    def edit(self) -> None:
        """Change a field of an entry that the platform knows and one that it does not."""
        if token := self.pick():
            self.made += 1
            fields = {"downloadable": bool(self.dice.getrandbits(1)), "theirs": {"edit": self.made}}
            self.change("inference.json", lambda document: document[token].update(fields))
            entry = self.entries[token]
            assert entry is not None
            self.entries[token] = {**entry, **fields}

    def delete(self) -> None:
        """Take an entry out."""
        if token := self.pick():
            self.change("inference.json", lambda document: document.pop(token))
            self.entries[token] = None

    def annotate(self) -> None:
        """Write a key of its own into an entry of the platform."""
        note = self.note + 1
        self.change("inference.json", lambda document: document[self.noted].update({"their_note": note}))
        self.note = note

    def add_strange(self) -> None:
        """Put something there that is no model."""
        self.made += 1
        key = f"x-{self.made}"
        self.change("inference.json", lambda document: document.update({key: {"not": "a model"}}))
        self.strange[key] = {"not": "a model"}

    def clean_up(self, taken_in: Collection[str]) -> None:
        """Remove the files of entries that it took out before the platform had seen them."""
        for token, entry in self.entries.items():
            if entry is None and token not in taken_in:
                for ending in ("pt", "onnx"):
                    self.bucket.remove(f"imageclassification/{token}.{ending}")

    def flip(self) -> None:
        """Switch the platform off or on, and leave a remark."""
        dev_mode, remark = not self.dev_mode, self.remark + 1
        self.change(
            "status.json", lambda document: document.update({"dev_mode": dev_mode, "their_remark": remark})
        )
        self.dev_mode, self.remark = dev_mode, remark

    def pick(self) -> str | None:
        """Draw one of its entries that are still there."""
        alive = sorted(token for token, entry in self.entries.items() if entry is not None)
        return self.dice.choice(alive) if alive else None
