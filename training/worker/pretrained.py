"""Downloads of pretrained weights from the bucket to where trainers look for them.

A folder that is the bucket is read as it is; from S3 each machine keeps a copy. A file's name claims its
SHA-256 (see `training.engine.weights_files`), which the trainer checks before it uses the file; for networks that
the platform fetched, the row has it.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import structlog
from django.conf import settings

from bucket.factory import get_bucket
from bucket.files import WrongFile, download
from core.periodic import for_each
from work.attempt import HopelessAttempt

from ..engine.catalogue import get_architecture
from ..engine.weights_files import CLAIMED_DIGEST
from ..networks.models import PREFIX
from ..networks.selectors import ready_network

logger = structlog.get_logger(__name__)

FETCHED = re.compile(r".+--.+-[0-9a-f]{64}\.[a-z]+")  # as the platform names what it fetched from the hub


def fetch_pretrained() -> int:
    """Copy what is new below pretrained/ in an S3 bucket; returns how many files that were.

    Copies of networks that were removed go.

    Raises `BucketError`, or `SomeFailed` after the other files were tried.
    """
    if not settings.S3_BUCKET:
        return 0
    folder = Path(settings.PRETRAINED_FOLDER)
    names = [key.removeprefix(PREFIX) for key, _ in get_bucket().list(PREFIX)]
    claimed = [name for name in names if "/" not in name and CLAIMED_DIGEST.search(name)]
    for path in folder.glob("*"):
        if FETCHED.fullmatch(path.name) and path.name not in names:
            path.unlink(missing_ok=True)
    missing = [name for name in claimed if not (folder / name).exists()]
    return for_each(missing, _fetch)


def _fetch(name: str) -> bool:
    folder = Path(settings.PRETRAINED_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    try:
        with get_bucket().open(f"{PREFIX}{name}") as source, draft.open("wb") as target:
            target.writelines(source)
        draft.replace(folder / name)
    finally:
        draft.unlink(missing_ok=True)
    logger.info("pretrained.fetched", file=name)
    return True


def provide_network(name: str, check: Callable[[], None]) -> dict[str, str]:
    """Make sure that the files of a network lie on this machine, as its row pins them.

    Returns their SHA-256 by their names on the hub, nothing for a network that the platform has not fetched. `check` is
    called between pieces and may raise to stop. Raises `HopelessAttempt` when the bucket holds other files.
    """
    network = ready_network(get_architecture(name))
    if network is None:
        return {}
    folder = Path(os.environ["TRAINYARD_PRETRAINED"])
    folder.mkdir(parents=True, exist_ok=True)
    for stored, file in network.stored_files.items():
        if not (folder / stored).exists():
            _provide(stored, file["sha256"], file["size"], folder, check)
    return network.digests


def _provide(stored: str, sha256: str, size: int, folder: Path, check: Callable[[], None]) -> None:
    draft = folder / f".{stored}.{os.getpid()}"
    try:
        download(f"{PREFIX}{stored}", draft, sha256=sha256, limit=size, check=check)
        draft.replace(folder / stored)
    except WrongFile as error:
        raise HopelessAttempt(
            f"{stored} in the bucket is not what was fetched. "
            "Let an administrator remove the network and fetch it again."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    logger.info("pretrained.provided", file=stored)
