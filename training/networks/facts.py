"""What is known of a network of the hub before it is here, and why it cannot be had; imports no client of the hub."""

import os
from dataclasses import dataclass

from core.exceptions import TrainyardError

PUBLIC = "https://huggingface.co"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # either forbids the hub's client to ask the hub


class HubAway(TrainyardError):
    """The hub cannot be reached now; another attempt may succeed."""


class HubRefusal(TrainyardError):
    """The hub, or what it sent, is not what is needed; the message says what to do."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; of a large one the hub tells the SHA-256, of a small one what git calls it."""

    name: str
    size: int
    sha256: str = ""
    git: str = ""


@dataclass(frozen=True)
class HubFacts:
    """What the hub says of a repository at one commit."""

    repository: str
    commit: str
    license: str
    knows: str
    files: dict[str, HubFile]


def is_offline() -> bool:
    """Tell whether the environment forbids asking the hub."""
    return any(os.environ.get(name, "").lower() in ("1", "on", "yes", "true") for name in OFFLINE)


def hub_address() -> str:
    """Return where the hub is: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
