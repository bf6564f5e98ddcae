"""Model tokens: a capability, readable at its front and random at its end."""

import re
import secrets

RANDOM_BYTES = 16  # 128 bits: who has the token may predict, so it must not be guessable
_KINDS = {"imageclassification": "imageClassification", "textclassification": "textClassification"}


def new_token(task_type: str, name: str) -> str:
    """Return `{taskType}-{name with _}-{random}`, safe in a path and in an address."""
    readable = re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_-")[:40] or "model"
    return f"{_KINDS[task_type]}-{readable}-{secrets.token_hex(RANDOM_BYTES)}"
