"""Documents as bytes, and entries as pieces of them that are kept and joined without being parsed again."""

import hashlib
import io
import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

from .merge import Json, Write

NAME_LENGTH = 255
DEEPEST = 64  # levels of objects and lists: what is read can be written again
CONTAINERS = frozenset({dict, list})


def parse_document(body: bytes) -> Json:
    """Read a document. Raises ValueError when it is not a JSON object."""
    try:
        document = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    _check_depth(document)
    return document


def _check_depth(document: Json) -> None:
    """Raise ValueError for a document so deep that only some of Python's JSON functions can follow."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for each in level:
            values = each.values() if isinstance(each, dict) else each
            if not CONTAINERS.isdisjoint(map(type, values)):
                inner += (value for value in values if type(value) in CONTAINERS)
        level = inner
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number


def format_document(document: Json) -> bytes:
    """Write a document of fixed fields for people and programs."""
    return _dumps(document).encode()


def format_entry(token: str, entry: object) -> str:
    """Write one entry as it stands in its document: `"token": {…}`."""
    return f"{_dumps(token)}: {_dumps(entry)}".replace("\n", "\n  ")  # a string holds no raw line break


def parse_entry(text: str) -> tuple[str, object]:
    """Read what `format_entry` wrote."""
    ((token, entry),) = json.loads(f"{{{text}}}").items()
    return token, entry


def join_entries(texts: Iterable[str]) -> bytes:
    """Put a document together from its entries' texts, in memory that grows in place."""
    document = io.BytesIO()
    for text in texts:
        document.write(b",\n  " if document.tell() else b"{\n  ")
        document.write(text.encode())
    document.write(b"\n}\n" if document.tell() else b"{}\n")
    return document.getvalue()


def digest_entry(entry: object) -> str:
    """Return 128 bits that tell whether two entries are equal as JSON values, whatever their spelling."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def entry_name(token: str) -> str:
    """Return the name under which a database can keep an entry: its token, where that is storable."""
    if len(token) <= NAME_LENGTH and token.isprintable() and not token.startswith("#"):
        return token
    return "#" + hashlib.sha256(json.dumps(token).encode()).hexdigest()


def format_writes(writes: Iterable[Write]) -> str:
    """Write down our writes of an entry; "" for none."""
    listed = [[write.at.timestamp(), write.before, write.put_back] for write in writes]
    return json.dumps(listed) if listed else ""


def parse_writes(text: str) -> list[Write]:
    """Read what `format_writes` wrote."""
    listed = json.loads(text) if text else []
    return [Write(datetime.fromtimestamp(at, UTC), before, put_back) for at, before, put_back in listed]


def _dumps(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON may hold and UTF-8 may not
        return json.dumps(value, indent=2)
    return text
