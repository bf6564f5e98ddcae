"""Cleaning of texts from outside before they are stored or logged."""

import json

SHOWN = 2000  # characters of a text that another program can make as long as it likes


def storable(text: object, *, most: int = SHOWN) -> str:
    """Return `str(text)` as every database and log takes it: no NUL, no half surrogate pair, not too long.

    Those stand as escapes (`\\x00`, `\\ud800`), so that a message still names what was wrong.
    """
    try:
        words = str(text)
    except Exception as error:  # of a library whose messages cannot be decoded
        words = f"{type(text).__name__} without a readable message ({type(error).__name__})"
    words = words.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return words if len(words) <= most else f"{words[:most]}…"


def is_storable(value: object) -> bool:
    """Tell whether a database can hold a JSON value's texts: JSON may hold NUL and half surrogate pairs."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text
