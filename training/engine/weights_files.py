"""Files of pretrained weights and what belongs to them: where they lie, and whether they are the right ones.

Nothing is ever downloaded here, and nothing imports torch: a web process asks which files are at hand.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from .events import TrainingError

PRETRAINED_FOLDER = "TRAINYARD_PRETRAINED"  # the folder of weights that an administrator put there
CLAIMED_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.(pth|safetensors|json)$")
GIT_DIGITS = 40  # of the SHA-1 by which git, and so the hub's cache, names a small file


class WeightsFile(Protocol):
    """Pretrained weights, or what else belongs to them."""

    def path(self) -> Path:
        """Return where the file lies. Raises FileNotFoundError that says how to get it."""

    def digest(self, path: Path) -> str:
        """Return the SHA-256 that the file must have, or how it must begin."""


@dataclass(frozen=True)
class PackagedFile:
    """A file inside an installed Python package, pinned by its SHA-256."""

    package: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return where the file lies, without importing its package. Raises FileNotFoundError."""
        spec = find_spec(self.package)
        folders = list(spec.submodule_search_locations or []) if spec else []
        path = Path(folders[0], self.file) if folders else None
        if path is None or not path.is_file():
            raise FileNotFoundError(
                f"{self.file} of the package {self.package} is not installed. "
                f"Install it: pip install {self.package.replace('_', '-')}"
            )
        return path

    def digest(self, path: Path) -> str:
        """Return the pinned SHA-256."""
        return self.sha256


def stored_name(repository: str, file: str, sha256: str) -> str:
    """Return what a file that the platform fetched from the hub is called below pretrained/ in the bucket."""
    path = Path(file)
    return f"{stored_prefix(repository)}{path.stem}-{sha256}{path.suffix}"


def stored_prefix(repository: str) -> str:
    """Return how the names of all such files of a repository begin. No repository has "--" in its name."""
    return f"{repository.replace('/', '--')}--"


@dataclass(frozen=True)
class DownloadedFile:
    """Weights that were fetched before, never now: by the platform, from the hub, by torch, or by hand.

    `repository` is the hub's, `checkpoint` the name under which torchvision publishes its weights. Files
    that are put there by hand are called `<name>-<SHA-256>.safetensors` or `.pth`, of the digest eight
    digits at least; the name is the repository's last part. The hub's cache names every file by its digest.
    With `sha256`, only the file that the platform fetched with this digest will do.
    """

    repository: str
    checkpoint: str = ""
    sha256: str = ""

    file = "model.safetensors"

    def path(self) -> Path:
        """Return where the file lies. Raises FileNotFoundError."""
        for path in self._places():
            if path.is_file():
                return path
        by_hand = self.checkpoint or f"{self._name}-<its SHA-256>.safetensors"
        raise FileNotFoundError(
            f"The weights of {self.repository} are not on this machine. Fetch them: on the admin's page Networks, "
            f"manage.py networks fetch {_asked_for(self.repository)}, hf download {self.repository}, "
            f"or put {by_hand} below pretrained/ in the bucket"
        )

    @property
    def _name(self) -> str:
        return self.repository.rpartition("/")[2]

    def digest(self, path: Path) -> str:
        """Return the SHA-256, whole or its beginning, that is pinned or that the file's place claims."""
        if self.sha256:
            return self.sha256
        claimed = CLAIMED_DIGEST.search(path.name)
        return claimed[1] if claimed else path.resolve().name

    def _places(self) -> Iterator[Path]:
        environment = os.environ
        yield from _fetched(self.repository, self.file, self.sha256)
        if self.sha256:
            return
        if PRETRAINED_FOLDER in environment:
            folder = Path(environment[PRETRAINED_FOLDER])
            if self.checkpoint:
                yield folder / self.checkpoint
            by_hand = (folder / name for name in sorted(path.name for path in folder.glob(f"{self._name}-*")))
            yield from (path for path in by_hand if CLAIMED_DIGEST.search(path.name))
        if self.checkpoint:
            torch_home = Path(environment.get("TORCH_HOME", "~/.cache/torch")).expanduser()
            yield torch_home / "hub/checkpoints" / self.checkpoint
        yield from _in_hubs_cache(self.repository, self.file)


@dataclass(frozen=True)
class CachedFile:
    """A file beside the weights: fetched by the platform, or in the Hugging Face cache, which names a small one
    by git's id of it. With `sha256`, only the file that the platform fetched with this digest will do."""

    repository: str
    file: str
    sha256: str = ""

    def path(self) -> Path:
        """Return where the file lies. Raises FileNotFoundError."""
        for path in self._places():
            return path
        raise FileNotFoundError(
            f"{self.file} of {self.repository} is not on this machine. Fetch it: on the admin's page Networks, "
            f"manage.py networks fetch {_asked_for(self.repository)}, or hf download {self.repository}"
        )

    def digest(self, path: Path) -> str:
        """Return the SHA-256 that is pinned or that the file's name claims, or git's id that the cache claims."""
        claimed = CLAIMED_DIGEST.search(path.name)
        return self.sha256 or (claimed[1] if claimed else path.resolve().name)

    def _places(self) -> Iterator[Path]:
        yield from _fetched(self.repository, self.file, self.sha256)
        if not self.sha256:
            yield from _in_hubs_cache(self.repository, self.file)


def _asked_for(repository: str) -> str:
    """Return what a network of the hub is called in the catalogue."""
    return repository if repository.startswith("timm/") else f"hf/{repository}"


def _fetched(repository: str, file: str, sha256: str) -> Iterator[Path]:
    """Yield where a file lies that the platform fetched."""
    if PRETRAINED_FOLDER in os.environ:
        folder = Path(os.environ[PRETRAINED_FOLDER])
        found = sorted(folder.glob(stored_name(repository, file, sha256 or "*")))
        yield from (path for path in found if CLAIMED_DIGEST.search(path.name))


def _in_hubs_cache(repository: str, file: str) -> Iterator[Path]:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    snapshots = hub / f"models--{repository.replace('/', '--')}" / "snapshots"
    # Only links into the cache's own store carry the digest that the content is checked against.
    found = (path / file for path in sorted(snapshots.glob("*")) if (path / file).is_file())
    yield from (path for path in found if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", path.resolve().name))


def read_verified(source: WeightsFile) -> bytes:
    """Read a file and check its digest. Raises `TrainingError`."""
    try:
        path = source.path()
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(str(error)) from error
    expected = source.digest(path)
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(expected) and not (len(expected) == GIT_DIGITS and git_id(content) == expected):
        raise TrainingError(
            f"{path.name} has the SHA-256 {found}, not the expected {expected}. Install or fetch it again."
        )
    return content


def git_id(content: bytes) -> str:
    """Return what git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
