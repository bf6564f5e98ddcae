"""What a write of ours held whose answer was lost: digests of its fields, kept until it is known to have landed."""

import json
from typing import Any

from ..document_writer import Sent
from ..merge import after_sending
from ..serialise import digest_entry


def settled(known: object, theirs: object, sent: str, entry: str) -> Any:
    """Return what we know of an object, now that we see whether what we sent has landed."""
    digests: Sent = json.loads(sent) if sent else {}
    if entry not in digests:
        return known
    return after_sending(base=known, theirs=theirs, sent=digests[entry], digest=_digest)


def digest_fields(document: Any) -> dict[str, str]:
    """Return a short digest of each field."""
    return {name: _digest(value) for name, value in document.items()}


def _digest(value: object) -> str:
    return digest_entry(value)[:16]
