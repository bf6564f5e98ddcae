"""What the platform and a sandbox say to each other: a JSON object with its length before it, and then bytes.

No message can make the reader run something or hold more than it chose to; that is why it is no pickle.
"""

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

LENGTH = struct.Struct(">Q")
PIECE = 1 << 20

Message = dict[str, Any]  # a JSON object


class MessageError(Exception):
    """There was no whole message, a too long one, or one that is no JSON object."""


def write_message(file: IO[bytes], message: Message, contents: Sequence[bytes] = ()) -> None:
    """Write a message, and contents whose sizes it has to tell. Raises `OSError` when nobody reads."""
    body = json.dumps(message).encode()
    file.write(LENGTH.pack(len(body)) + body)
    for content in contents:
        file.write(content)
    file.flush()


def read_message(file: IO[bytes], *, most: int) -> Message:
    """Read a message of at most so many bytes. Raises `MessageError`, also at the end of the file."""
    (length,) = LENGTH.unpack(read_exactly(file, LENGTH.size))
    if length > most:
        raise MessageError(f"A message has {length:,} bytes; the limit is {most:,}.")
    try:
        message = json.loads(read_exactly(file, length))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"A message is no JSON ({error!r:.100}).") from error
    if not isinstance(message, dict):
        raise MessageError("A message is no JSON object.")
    return message


def read_exactly(file: IO[bytes], size: int) -> bytes:
    """Read so many bytes. Raises `MessageError` when there are fewer."""
    content = file.read(size)
    if len(content) < size:
        raise MessageError("The other side has ended.")
    return content
