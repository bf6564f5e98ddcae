"""JSON from outside, whose cost is looked at before values are made of it.

Three bytes ("[],") become a hundred of memory, and a few thousand brackets more calls than Python's stack has.
"""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

MOST_ITEMS = 10_000  # values, keys and brackets together; requests have some dozens
DEEPEST = 32
LONGEST_NUMBER = 100  # characters
# A string, to the end of the text if need be (else each quote in it would be tried anew), or what stands between.
TOKENS = re.compile(r'"(?:[^"\\]++|\\.|\\\Z)*+(?:"|\Z)|[\[\]{},:]', re.DOTALL)
HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(content: bytes, *, most_items: int = MOST_ITEMS) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises ValueError, with the reason for a person, for what is no JSON, or holds too many, too deeply nested or too
    long values, or a name twice in one object.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not in UTF-8") from error
    _check_shape(text, most_items)
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def holds_half_characters(content: bytes, value: Any) -> bool:
    """Tell whether a parsed text holds halves of surrogate pairs, which no database takes and nobody can send on."""
    if not HALF_CHARACTER.search(content.decode("utf-8-sig")):
        return False
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_shape(text: str, most_items: int) -> None:
    """Count what stands between strings, no further than it may go."""
    items = depth = 0
    for token in TOKENS.finditer(text):
        character = text[token.start()]
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        items += character in ",:[{"
        if items > most_items:
            raise ValueError(f"it has more than {most_items:,} values")
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _bounded(digits: str) -> str:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} characters; the limit is {LONGEST_NUMBER}")
    return digits


def _int(digits: str) -> int:
    return int(_bounded(digits))


def _float(digits: str) -> float:
    value = float(_bounded(digits))
    return value if math.isfinite(value) else _refuse_constant(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises ValueError where a name stands twice: one of the values would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f'"{twice[:100]}" stands twice in one object')
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_int, parse_float=_float
)
