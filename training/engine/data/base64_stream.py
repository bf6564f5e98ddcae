"""Base64 of any size, decoded piece by piece."""

import binascii
from collections.abc import Iterable, Iterator

WHITE = b" \t\r\n"
SCHEME = b"data:"  # browsers read a file as `data:image/jpeg;base64,…`


def decode_base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what the text stands for. Raises ValueError for what is not strictly base64.

    White space is passed over, and so is the head of a data URL, which the first piece holds whole.
    """
    left, has_ended = b"", False
    for number, piece in enumerate(pieces):
        text = left + piece.translate(None, WHITE)
        if number == 0 and text.startswith(SCHEME):
            text = text.partition(b",")[2]
        if has_ended and text:
            raise ValueError("something follows its end")
        whole = len(text) - len(text) % 4
        has_ended = text[:whole].endswith(b"=")
        yield binascii.a2b_base64(text[:whole], strict_mode=True)
        left = text[whole:]
    if left:
        raise ValueError("its length is not a multiple of four")
