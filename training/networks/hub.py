"""The hub, as its own client library speaks to it: what a repository holds, and its files.

The library's `hf_hub_download` begins anew after a worker was killed; here a file goes on where its earlier part
ends. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are the library's. Importing this takes half a second and no torch.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
import structlog
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from ..engine.weights_files import git_id
from .facts import HubAway, HubFacts, HubFile, HubRefusal, hub_address, is_offline

logger = structlog.get_logger(__name__)

TIMEOUT = 10.0  # seconds without a byte
PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before each further try without a byte in between
LARGEST_HEADER = 100_000_000  # bytes that the format allows
AWAY = (408, 425, 429)  # and everything from 500 on


def look_up(repository: str, revision: str) -> HubFacts:
    """Ask what a repository holds. Raises `HubAway` or `HubRefusal`."""
    with _explained(repository, revision):
        info = HfApi(endpoint=hub_address()).model_info(
            repository, revision=revision, files_metadata=True, timeout=TIMEOUT
        )
    card: dict[str, object] = info.card_data.to_dict() if info.card_data else {}
    tagged = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    return HubFacts(
        repository=repository,
        commit=str(info.sha or ""),
        license=str(card.get("license") or next(iter(tagged), "")),
        knows=_knows(card),
        files={
            found.rfilename: HubFile(
                name=found.rfilename,
                size=int(found.size or 0),
                sha256=found.lfs.sha256 if found.lfs else "",
                git="" if found.lfs else str(found.blob_id or ""),
            )
            for found in info.siblings or ()
        },
    )


def download(
    facts: HubFacts, file: HubFile, path: Path, *, tell: Callable[[int], None], sha256: str = ""
) -> str:
    """Copy a file to `path`, going on where an earlier try has ended; returns its SHA-256.

    `tell` is called with the bytes that are there, and may raise to stop. The file must be what the hub says of it,
    and have the SHA-256 if one is given. Raises `HubAway`, or `HubRefusal` with nothing left at `path`.
    """
    tries = 0
    while (have := path.stat().st_size if path.exists() else 0) < file.size:
        tell(have)
        try:
            with _explained(facts.repository, facts.commit):
                _stream(facts, file, path, have, tell)
        except HubAway as error:
            grown = path.exists() and path.stat().st_size > have
            tries = 0 if grown else tries + 1
            if tries > len(PAUSES):
                raise
            logger.info(
                "network.connection_cut", repository=facts.repository, file=file.name, error=str(error)
            )
            time.sleep(PAUSES[max(0, tries - 1)])
    try:
        found = _check(file, path, sha256)
    except HubRefusal:
        path.unlink(missing_ok=True)
        raise
    tell(file.size)
    return found


def _stream(facts: HubFacts, file: HubFile, path: Path, have: int, tell: Callable[[int], None]) -> None:
    """Add what is missing of a file."""
    address = hf_hub_url(facts.repository, file.name, revision=facts.commit, endpoint=hub_address())
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with get_session().stream(
        "GET", address, headers=headers, follow_redirects=True, timeout=TIMEOUT
    ) as answer:
        if answer.is_error:
            answer.read()
        hf_raise_for_status(answer)
        goes_on = answer.status_code == httpx2.codes.PARTIAL_CONTENT
        have = have if goes_on else 0
        with path.open("ab" if goes_on else "wb", buffering=0) as target:
            for piece in answer.iter_raw():
                have += len(piece)
                if have > file.size:
                    path.unlink()
                    raise HubRefusal(
                        f"{file.name} of {facts.repository} is longer than the {file.size:,} bytes that the hub tells. "
                        "Nothing was kept. Fetch it again, and look at the hub's page if that happens twice."
                    )
                target.write(piece)
                tell(have)
    if have < file.size:
        raise HubAway(f"The connection ended after {have:,} of {file.size:,} bytes of {file.name}.")


def _check(file: HubFile, path: Path, pinned: str) -> str:
    """Return the SHA-256 of a file. Raises `HubRefusal` when it is another file than was told or pinned."""
    with path.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    if pinned and found != pinned:
        raise HubRefusal(
            f"{file.name} has the SHA-256 {found}, not the {pinned} that was pinned when it was first fetched. "
            "Nothing was kept. If the change is meant, remove the network and add it anew."
        )
    told = file.sha256 or file.git
    if told and told not in (found, "" if file.sha256 else git_id(path.read_bytes())):
        raise HubRefusal(
            f"{file.name} is not what the hub says it is ({told}): its SHA-256 is {found}. Nothing was kept. "
            "Fetch it again, and look at what stands between this machine and the hub if that happens twice."
        )
    if path.suffix == ".safetensors":
        check_safetensors(path)
    return found


def check_safetensors(path: Path) -> None:
    """Raise `HubRefusal` unless a file has the head of a safetensors file, which holds numbers and no code."""
    with path.open("rb") as source:
        length = int.from_bytes(source.read(8), "little")
        try:
            head = json.loads(source.read(length)) if 2 <= length <= LARGEST_HEADER else None
        except ValueError:
            head = None
    if not isinstance(head, dict):
        raise HubRefusal(f"{path.name} is no safetensors file. Nothing was kept. Choose another network.")


def _knows(card: Mapping[str, object]) -> str:
    named, sets = _words_of(card.get("language")), _words_of(card.get("datasets"))
    parts = []
    if named:
        parts.append(f"languages: {', '.join(named)}" if len(named) <= 10 else f"{len(named)} languages")
    if sets:
        parts.append(f"data: {', '.join(sets[:3])}")
    return "; ".join(parts)[:200]


def _words_of(value: object) -> list[str]:
    """Return what a card lists, where it is one word or several."""
    if isinstance(value, list):
        return [str(one) for one in value]
    return [value] if isinstance(value, str) and value else []


@contextmanager
def _explained(repository: str, revision: str) -> Iterator[None]:
    """Turn what the library raises into what an administrator can do about it."""
    hub = hub_address()
    if is_offline():
        raise HubRefusal(
            f"HF_HUB_OFFLINE is set, so nothing is fetched from {hub}. Unset it for the workers, or put the files "
            "below pretrained/ in the bucket by hand."
        )
    try:
        yield
    except GatedRepoError as error:
        raise HubRefusal(
            f"{repository} is gated. Sign in on {hub}/{repository}, accept its licence there, and set HF_TOKEN of the "
            "workers to a token of that account; then fetch again."
        ) from error
    except RepositoryNotFoundError as error:
        raise HubRefusal(
            f"There is no {repository} on {hub}, or it is private. Look for its name there; for a private one set "
            "HF_TOKEN of the workers."
        ) from error
    except RevisionNotFoundError as error:
        raise HubRefusal(
            f"{repository} has no revision {revision!r}. Use a branch, a tag or a commit."
        ) from error
    except EntryNotFoundError as error:
        raise HubRefusal(f"A file of {repository} is gone from the hub: {error}") from error
    except HFValidationError as error:
        raise HubRefusal(f"{repository} is no name of a repository: {error}") from error
    except OfflineModeIsEnabled as error:
        raise HubRefusal(f"The hub may not be asked: {error}") from error
    except HfHubHTTPError as error:
        raise _of_status(error, hub) from error
    except httpx2.HTTPError as error:
        raise HubAway(f"{hub} cannot be reached: {error or type(error).__name__}") from error


def _of_status(error: HfHubHTTPError, hub: str) -> HubAway | HubRefusal:
    status = error.response.status_code
    if status in AWAY or status >= 500:
        return HubAway(f"{hub} answers {status}; it may be busy.")
    return HubRefusal(
        f"{hub} answers {status}: {error.server_message or 'no reason'}. Check HF_ENDPOINT and HF_TOKEN."
    )
