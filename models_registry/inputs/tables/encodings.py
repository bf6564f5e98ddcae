"""In which encoding a text file is: what its byte order mark names, else UTF-8, else the likeliest of the old ones.

Decided on a sample from all over the file, in bounded memory. What is guessed is told as a doubt.
"""

import codecs
import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..entry_names import likeness

# The longer marks first: UTF-32's begins with UTF-16's.
BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
START = 1 << 20  # bytes
PIECES, PIECE = 12, 1 << 18  # further ones, evenly spread over what follows
SHOWN = 40  # bytes of a word
GUESSED_ON = 1 << 16  # bytes of lines that are not ASCII
NULS = 0.02  # share of NUL bytes above which a file may be UTF-16
RARE = 0.01  # share of lines that are not UTF-8 up to which these are faults of a UTF-8 file
FEW = 3  # such lines that a file without any other UTF-8 may have
WINDOWS = {
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}
# What systems and programs have really written; the Windows pages hold ISO 8859's.
OLD_ENCODINGS = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "cp866", "mac_roman",
    "gb18030", "big5", "cp932", "euc_jp", "cp949",
]  # fmt: skip

# Of two bytes a character, which statistics mix up in short texts; the first of those that fit alike.
OF_TWO_BYTES = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_symbols_in_words = re.compile(r"(?<=[^\W\d_])[¹³¿](?=[^\W\d_])").findall


class Encoding(NamedTuple):
    """An encoding and how its faults are decoded; `doubt` tells a person that it is a guess."""

    name: str
    errors: str = "strict"
    doubt: str = ""


def sample_of(file: BinaryIO, size: int | None) -> list[bytes]:
    """Return pieces of a file: its start, and more from all over it where its size is known."""
    pieces = [file.read(START)]
    if size is not None and size > START:
        for number in range(1, PIECES + 1):
            file.seek(START + (size - START) * number // (PIECES + 1))
            pieces.append(file.read(PIECE).partition(b"\n")[2].rpartition(b"\n")[0])
    return pieces


def find_encoding(pieces: list[bytes]) -> Encoding:
    """Return the encoding of a file from a sample of it."""
    start = pieces[0]
    for mark, name in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return Encoding(name, "surrogateescape" if name == "utf-8-sig" else "strict")
    if b"\0" in start and (wide := _without_mark(start)):
        return Encoding(wide)
    lines, bad, is_utf8 = _not_in_utf8(pieces)
    if not bad or (len(bad) <= max(1, RARE * lines) and lines > FEW and (is_utf8 or len(bad) < FEW)):
        return Encoding("utf-8", "surrogateescape")
    name = _guess(b"\n".join(bad)[:GUESSED_ON])
    return Encoding(
        name,
        "surrogateescape",
        f"The file is not in UTF-8; it is read as {name}, a guess. Where letters look wrong below, save it "
        'as "CSV UTF-8" and upload it again.',
    )


def other_readings(pieces: list[bytes], used: str) -> list[tuple[str, str]]:
    """Return encodings in which a sample that is not UTF-8 can be read, too, and how the first odd word reads.

    Those with the most letters first; `used` and those that read like another one are left out.
    """
    _, bad, _ = _not_in_utf8(pieces)
    sample = b"\n".join(bad)[:GUESSED_ON]
    word = next((word for word in sample.split() if not word.isascii()), b"")[:SHOWN]
    known, found = {word.decode(used, "replace")}, []
    for name in OLD_ENCODINGS:
        try:
            reading = codecs.getincrementaldecoder(name)().decode(word)  # which may be cut within a character
            sample.decode(name)
        except UnicodeDecodeError:
            continue
        if name != used and reading not in known and reading.isprintable():
            known.add(reading)
            found.append((name, reading))
    return sorted(found, key=lambda pair: -sum(map(str.isalpha, pair[1])) / len(pair[1]))


def named_encoding(name: str) -> Encoding:
    """Return an encoding that a person has named. UTF-8 may begin with a byte order mark."""
    is_wide = name.startswith(("utf-16", "utf-32"))
    return Encoding("utf-8-sig" if name == "utf-8" else name, "replace" if is_wide else "surrogateescape")


def _not_in_utf8(pieces: list[bytes]) -> tuple[int, list[bytes], bool]:
    """Return how many lines there are, those that are not UTF-8, and whether others beyond ASCII are."""
    bad, lines, is_utf8 = [], 0, False
    for piece in pieces:
        if len(piece) >= START:  # it may end within a character
            piece = piece[:-4]
        lines += piece.count(b"\n") + 1
        if piece.isascii():
            continue
        for line in piece.splitlines():
            if line.isascii():
                continue
            try:
                line.decode()
                is_utf8 = True
            except UnicodeDecodeError:
                bad.append(line)
    return lines, bad, is_utf8


def encoding_of(path: Path) -> Encoding:
    """Return the encoding of a file."""
    with path.open("rb") as file:
        return find_encoding(sample_of(file, path.stat().st_size))


def open_text(file: BinaryIO, encoding: Encoding) -> io.TextIOWrapper:
    """Return the text of a file; what is not in its encoding becomes half a character, which rows are left out for."""
    return io.TextIOWrapper(file, encoding=encoding.name, errors=encoding.errors, newline="")


def _without_mark(start: bytes) -> str:
    """Return the UTF-16 or -32 that a file without a mark is in; "" when it is none."""
    start = start[: len(start) // 4 * 4]
    if start.count(0) < NULS * len(start):
        return ""
    for name, unit in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        filled = 0 if name.endswith("le") else unit - 1
        if start[filled::unit].count(0) or "\n".encode(name) not in start:
            continue
        try:
            start[: len(start) - unit * 2].decode(name)
        except UnicodeDecodeError as error:
            if error.end < len(error.object) - unit:
                continue
        return name
    return ""


def _guess(sample: bytes) -> str:
    import charset_normalizer

    found = charset_normalizer.from_bytes(sample, cp_isolation=OLD_ENCODINGS, enable_fallback=False).best()
    name = WINDOWS.get(found.encoding, found.encoding) if found else "cp1252"
    if name in OF_TWO_BYTES:
        fitting = [one for one in OF_TWO_BYTES if _decodes(sample, one)]
        if "euc_jp" in fitting and not _has_kana(sample.decode("euc_jp")):
            fitting.remove("euc_jp")  # Chinese in gb2312 reads as some Japanese, too, but for these
        return max(fitting, key=lambda one: likeness(sample.decode(one), one), default=name)
    return _of_latin(sample) if name in ("cp1252", "cp1250", "cp1254") else name


def _has_kana(text: str) -> bool:
    return any("\u3041" <= sign <= "\u30fe" for sign in text)


def _decodes(sample: bytes, name: str) -> bool:
    try:
        sample.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _of_latin(sample: bytes) -> str:
    """Tell the Latin code pages apart, which statistics of letters do not: by what stands within words."""
    text = sample.decode("cp1252", "replace")
    if len(_symbols_in_words(text)) > 1 or {"ì", "ø"} <= set(text):  # Polish and Czech, if not Western
        return "cp1250"
    return "cp1254" if len(set("ðþý") & set(text)) > 1 and "æ" not in text else "cp1252"  # Turkish
