"""A job's checkpoint folder: what an attempt leaves there so that the next one goes on and does not begin anew.

All files together are one checkpoint. They hold tensors and plain data only, so that a file from a
bucket cannot run code. A job whose checkpoint belongs to another request deletes it and begins anew.
"""

import hashlib
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..events import Progress
from ..export.atomic_files import write_atomically
from ..fault_injection import crash_point
from ..request import TrainingRequest

FORMAT = 3  # raised when the files' content changes, so that older ones are not used
DESCRIPTION = "checkpoint.json"
TRAINING, BEST = "checkpoint-train.pt", "checkpoint-best.pt"
CONTEST = "checkpoint-contest.pt"
CHUNK = "checkpoint-features-{:05}.npz"
LIBRARIES = ("torch", "timm", "onnxruntime", "numpy", "tokenizers", "pillow")


class Checkpoints:
    """The checkpoint folder of one request; without a folder nothing is kept, nor by one that only reads."""

    def __init__(self, request: TrainingRequest, progress: Progress, *, writes: bool = True) -> None:
        self._progress = progress
        self._writes = writes
        self._folder = Path(request.checkpoint_dir) if request.checkpoint_dir else None
        self._fingerprint = fingerprint(request)
        self._chunks = 0
        if self._folder is not None and writes:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._keep_only_ours(self._folder)

    @property
    def enabled(self) -> bool:
        """Whether anything is kept."""
        return self._folder is not None and self._writes

    def save_training(self, state: dict[str, Any], best: dict[str, Any] | None, *, epoch: int) -> None:
        """Keep the training as it is after an epoch, and its best epoch when that is a new one.

        The best goes first: an attempt that dies between the two repeats the epoch, and finds the same.
        """
        if best is not None:
            self._write_tensors(BEST, best)
        self._write_tensors(TRAINING, state)
        self._tell(epoch)

    def load_training(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the training and its best epoch as they were kept; None to begin at the first epoch."""
        state, best = self._read_tensors(TRAINING), self._read_tensors(BEST)
        return (state, best) if state is not None and best is not None else None

    def save_contest(self, state: dict[str, Any], *, answers: int) -> None:
        """Keep what several ways to train have reached."""
        self._write_tensors(CONTEST, state)
        self._tell(answers)

    def load_contest(self) -> dict[str, Any] | None:
        """Return what `save_contest` kept last; None where nothing is."""
        return self._read_tensors(CONTEST)

    def save_features(self, indices: npt.NDArray[np.int64], features: npt.NDArray[np.float32]) -> None:
        """Keep the features of some more examples."""
        if self._folder is None:
            return
        buffer = io.BytesIO()
        np.savez(buffer, indices=indices, features=features)
        self._write(CHUNK.format(self._chunks), buffer.getvalue())
        self._chunks += 1
        self._tell(0)

    def load_features(self) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Return the indices and features of the examples that earlier attempts have seen."""
        found = []
        while (content := self._read(CHUNK.format(self._chunks))) is not None:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found.append((arrays["indices"], arrays["features"]))
            self._chunks += 1
        return found

    def _keep_only_ours(self, folder: Path) -> None:
        description = {"format": FORMAT, "fingerprint": self._fingerprint}
        content = self._read(DESCRIPTION)
        try:
            ours = content is not None and json.loads(content) == description
        except ValueError:
            ours = False
        for path in folder.glob(".checkpoint*"):  # left by a process that was killed as it wrote
            path.unlink(missing_ok=True)
        if not ours:
            for path in folder.glob("checkpoint*"):
                path.unlink(missing_ok=True)
            write_atomically(folder / DESCRIPTION, json.dumps(description).encode())

    def _write_tensors(self, name: str, content: dict[str, object]) -> None:
        if self._folder is not None:
            buffer = io.BytesIO()
            torch.save(content, buffer)
            self._write(name, buffer.getvalue())

    def _read_tensors(self, name: str) -> dict[str, Any] | None:
        content = self._read(name)
        if content is None:
            return None
        found: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        return found

    def _write(self, name: str, content: bytes) -> None:
        assert self._folder is not None
        write_atomically(
            self._folder / name, content, before_replacing=lambda: crash_point("checkpoint.write")
        )
        crash_point("checkpoint.replace")

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes() if self._folder is not None else None
        except FileNotFoundError:
            return None

    def _tell(self, epoch: int) -> None:
        if self._folder is not None:
            self._progress.checkpoint(
                tuple(sorted(path.name for path in self._folder.glob("checkpoint*"))), epoch
            )
            crash_point("checkpoint.told")


def fingerprint(request: TrainingRequest) -> str:
    """Return a digest of all that decides how a training ends.

    Where it runs is no part of it: a job may move to another machine.
    """
    decisive = {
        name: value
        for name, value in request.to_json().items()
        if name
        in (
            *("task_type", "architecture", "strategy", "dataset_sha256", "columns", "corrections"),
            *("data_split", "seed", "hyperparameters", "limits"),
        )
    }
    decisive["versions"] = {name: version(name) for name in LIBRARIES}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
