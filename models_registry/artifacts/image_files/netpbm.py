"""PBM, PGM, PPM and PFM (Netpbm): a header of words, then pixels as they are or as digits."""

import re

from .base import DamagedImage, ImageFile

MOST_HEADER = 4096  # bytes; comments are all that makes it longer than some twenty
START = re.compile(rb"P[1-6f][\s#]")
WORD = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]{1,20})")
DIGITS = (b"P1", b"P2", b"P3")  # Pillow reads them in Python, number by number
BITS, FLOATS = (b"P1", b"P4"), (b"Pf",)
DEEPEST = b"65535"  # of grey: 16 bits, as they lie in memory
DEEP = (b"1023", b"4095", b"16383", DEEPEST)  # what scaling by the brightest pixel does not tell apart
CHANNELS = {b"P3": 3, b"P6": 3}
PASSES_IN_PYTHON = 1000  # of C, that take as long as one number
BYTES_OF_A_NUMBER = 16  # digits and lists of them


def accepts(content: bytes) -> bool:
    """Say whether this is a file of Netpbm."""
    return START.match(content) is not None


def read(content: bytes) -> ImageFile:
    """Return the first picture, without comments. Raises `DamagedImage`."""
    kind, words, position = content[:2], [], 2
    for _ in range(2 if kind in BITS else 3):
        found = WORD.match(content[:MOST_HEADER], position)
        if found is None:
            raise DamagedImage("its header is cut off")
        words.append(found[1])
        position = found.end()
    try:
        width, height = int(words[0]), int(words[1])
        most = 1 if kind in (*BITS, *FLOATS) else int(words[2])
    except ValueError as error:
        raise DamagedImage("its header holds what is no number") from error
    if width <= 0 or height <= 0:
        raise DamagedImage("it has no pixels")
    if kind == b"P5" and words[2] in DEEP:
        words[2] = DEEPEST
    channels = CHANNELS.get(kind, 1)
    in_c = kind in (b"P4", *FLOATS) or (
        kind not in DIGITS and (most == 255 or (kind, words[2]) == (b"P5", DEEPEST))
    )
    return ImageFile(
        "PPM",
        b"\n".join((kind, *words)) + content[position:],
        width,
        height,
        bytes_a_pixel=4 if channels > 1 or most > 255 or kind in FLOATS else 1,
        bytes_beside=0 if in_c else BYTES_OF_A_NUMBER * channels * width * height,
        passes=1 if in_c else PASSES_IN_PYTHON * channels,
    )
