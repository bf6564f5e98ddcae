"""GIF 87a and 89a: the first picture."""

from .base import MOST_SEGMENTS, DamagedImage, ImageFile

SIGNATURES = (b"GIF87a", b"GIF89a")
EXTENSION, IMAGE, GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9


def read(content: bytes) -> ImageFile:
    """Return the first picture, without comments and what programs have added. Raises `DamagedImage`."""
    try:
        width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
        position = 13 + _colours(content[10])
        header = content[:position]
        position, control = _after_extensions(content, position)
        if content[position] != IMAGE:
            raise DamagedImage("it holds no picture")
        left, top, wide, high = (
            int.from_bytes(content[at : at + 2], "little") for at in range(position + 1, position + 9, 2)
        )
    except IndexError as error:
        raise DamagedImage("it ends before its pixels begin") from error
    # A picture that sticks out makes the whole larger. One in colours is made of indices: a byte, then four.
    return ImageFile(
        "GIF",
        header + control + content[position:],
        max(width, left + wide),
        max(height, top + high),
        bytes_a_pixel=2,
        has_more=_has_more(content, position),
    )


def _after_extensions(content: bytes, position: int) -> tuple[int, bytes]:
    """Return where the extensions at `position` end, and the last graphic control among them; b"" if there is none.

    Raises `DamagedImage` for too many blocks, `IndexError` where the file ends before.
    """
    control, blocks = b"", 0
    while content[position] == EXTENSION:
        start, position = position, position + 2
        while size := content[position]:
            position += 1 + size
            blocks += 1
            if blocks > MOST_SEGMENTS:
                raise DamagedImage(f"it has more than {MOST_SEGMENTS:,} parts before its pixels")
        position += 1
        if content[start + 1] == GRAPHIC_CONTROL:
            control = content[start:position]
    return position, control


def _has_more(content: bytes, position: int) -> bool:
    """Say whether another picture follows the one at `position`; not of one that is cut off or in many pieces."""
    try:
        position += 11 + _colours(
            content[position + 9]
        )  # its descriptor, colours, and the width of its codes
        for _ in range(MOST_SEGMENTS):
            size = content[position]
            position += 1 + size
            if not size:
                break
        else:
            return False
        return content[_after_extensions(content, position)[0]] == IMAGE
    except (IndexError, DamagedImage):
        return False


def _colours(flags: int) -> int:
    """Return the bytes of a table of colours."""
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0
