"""Model tokens: a capability, readable at its front and random at its end."""

import re
import secrets

from .artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION

RANDOM_BYTES = 16  # 128 bits: who has the token may predict, so it must not be guessable
NAME_LENGTH = 100
SHOWN_OF_LONG = 16  # characters of a random part that is long enough to show four of
_SHAPE = re.compile(r"(?:image|text)classification-(?P<name>.+)-[A-Za-z0-9]+", re.IGNORECASE)
_KINDS = {IMAGE_CLASSIFICATION: "imageClassification", TEXT_CLASSIFICATION: "textClassification"}


def new_token(task_type: str, name: str) -> str:
    """Return `{taskType}-{name with _}-{random}`, safe in a path and in an address."""
    readable = re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_-")[:40] or "model"
    return f"{_KINDS[task_type]}-{readable}-{secrets.token_hex(RANDOM_BYTES)}"


def readable_name(token: str) -> str:
    """Return the name that a token carries: what stands before its last hyphen.

    A name is shown, and published, where the token must not be, so it never is the whole of it.
    """
    match = _SHAPE.fullmatch(token)
    carried = match["name"] if match else token.rpartition("-")[0]
    name = re.sub(r"[^\w -]+|_+", " ", carried).strip()
    return name[:NAME_LENGTH] or "Imported model"


def masked(token: str) -> str:
    """Return as much of a token as tells it from others, for those who have no right to predict with it."""
    shape = _SHAPE.fullmatch(token)
    random = token.rpartition("-")[2] if shape else ""
    if len(random) >= SHOWN_OF_LONG:
        return f"{token.removesuffix(random)}{random[:4]}…"
    return f"{token[: len(token) // 4]}…"
