"""Names of a zip's entries that do not say in which code page they are written.

Only names with the flag of UTF-8 are certain (APPNOTE, section 4.4.4, bit 11). The others are what the program
that made the archive took for granted: UTF-8 for macOS and Linux, some code page of Windows for the rest.
"""

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from functools import cache

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # Info-ZIP's extra field: APPNOTE, section 4.6.9
ROOT = re.compile(r"\A([A-Za-z]:)?/+(?=.)")  # of a disk, before a path; nothing is ever unpacked to it
SCORED = 2_000  # names that are looked at; all are decoded
# Those of DOS and Windows, in the order in which they are preferred when they fit alike.
CODE_PAGES = (
    "cp437", "cp850", "cp1252", "cp866", "cp932", "gbk", "cp949", "big5", "cp1251", "cp852",
    "cp857", "cp737", "cp1250", "cp775", "cp862", "cp720", "cp874",
)  # fmt: skip
# Scripts that a single page has.
SCRIPT_OF = {"cp737": "GREEK", "cp862": "HEBREW", "cp720": "ARABIC"}
# Pages whose letters are read as those of Cyrillic or Greek pages without a fault, and the letters that are most used.
RIVALS = {"cp862": "HEBREW", "cp1255": "HEBREW", "cp720": "ARABIC", "cp1256": "ARABIC"}
FREQUENT = {
    "CYRILLIC": frozenset("оеаинтсрвлк"),
    "GREEK": frozenset("αοιετσνηυρπκίό"),
    "HEBREW": frozenset("יוהלארתבמשנ"),
    "ARABIC": frozenset("اليمونرتبةعد"),
}
FINAL = re.compile(r"[ךםןףץ]\w")  # letters that end a word, inside one
CLEARER = 0.1  # share of most used letters by which a rival has more
FEWEST_LETTERS = 8  # of all names, from which on their share says something
LEVEL_1: dict[str, tuple[str, range]] = {  # encoding, lead bytes of its most used characters
    "gbk": ("gb2312", range(0xB0, 0xD8)),
    "gb18030": ("gb2312", range(0xB0, 0xD8)),
    "euc_jp": ("euc_jp", range(0xB0, 0xD0)),
    "cp932": ("shift_jis", range(0x88, 0x98)),
    "big5": ("big5", range(0xA4, 0xC7)),
}
# The commonest syllables of Korean: other two-byte text read as Korean hardly ever has one.
KOREAN = frozenset(
    "가각간갈감강개거건걸검것게겨격견결경계고공과관광교구국군궁권귀그극근금급기길김나난남내너네노농높누눈는능니다단달당대더데도독동되된두드든등디"
    "라락란람랑래량러럭런레려력련령로록론료루류르른를름리린림립마만말망매머먹면명모목몸무문물미민바박반발방배백버번범법벽변별병보복본볼부북분불"
    "브비빈빛빨사산살상새색생서석선설성세소속손송수술스습승시식신실심십아안알암앙애야약양어언얼엄업없에여역연열염영예오옥온올옷와완왕외요용우운울원"
    "월위유육은을음의이인일임입있자작잔잘장재저적전절점정제조족종좋주죽준중즈지직진질집차참창채책처천철청체초총최추출충치친침카커컴코쿠크키타탁태터테"
    "토통트특티파판팬편평포표품프피하학한할함합항해행향허험현형호혼홍화환황회효후흰히힌"
)


def name_entries(entries: Sequence[zipfile.ZipInfo], named: str | None = None) -> str:
    """Set `filename` of each entry to its decoded name with "/" between folders, without the root of a disk.

    Returns the code page that had to be guessed; empty when all names were certain. `named` is the code page that a
    person has named, for the names that are not certain; what is none of it is shown as U+FFFD.
    """
    unknown: list[tuple[zipfile.ZipInfo, bytes]] = []
    for entry in entries:
        entry.filename = entry.orig_filename
        if is_certain(entry):
            continue
        raw = _raw(entry)
        unicode_path = _unicode_path(entry.extra, raw)
        if unicode_path:
            entry.filename = unicode_path
        else:
            unknown.append((entry, raw))
    page = named or guess_code_page([raw for _, raw in unknown])
    for entry, raw in unknown:
        entry.filename = raw.decode(page, "replace")
    for entry in entries:
        if "\\" in entry.filename:  # older .NET and PowerShell write these between folders
            entry.filename = ROOT.sub("", entry.filename.replace("\\", "/"), count=1)
        elif entry.filename.startswith("/"):
            entry.filename = ROOT.sub("", entry.filename, count=1)
    return "" if page == "utf-8" or named else page


def other_readings(entries: Sequence[zipfile.ZipInfo], used: str) -> list[tuple[str, str]]:
    """Return code pages in which the doubtful names of an archive can be read, too, and how the first one reads.

    Likely ones first; `used` and those that read like another one are left out. To be called with what
    `name_entries` has named.
    """
    raw = [_raw(entry) for entry in entries if not is_certain(entry)]
    names = list(dict.fromkeys(part for name in raw for part in _parts(name)))[:SCORED]
    if not names:
        return []
    joined, known = b"\n".join(names), {_decoded(names[0], used)}
    all_pages = (*CODE_PAGES, *(page for page in RIVALS if page not in CODE_PAGES))
    pages = [page for page in all_pages if page != used and _decodes(joined, page)]
    found = []
    for page in sorted(pages, key=lambda page: -likeness(_decoded(joined, page), page)):
        reading = _decoded(names[0], page)
        if reading not in known and reading.isprintable():
            known.add(reading)
            found.append((page, reading))
    return found


def is_certain(entry: zipfile.ZipInfo) -> bool:
    """Say whether an entry's name is in a known encoding: ASCII, or UTF-8 by its flag."""
    return bool(entry.flag_bits & UTF8_FLAG) or entry.orig_filename.isascii()


def _raw(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode(
        "cp437"
    )  # which zipfile has decoded it with; every byte has a character


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """Return the name in Info-ZIP's field; empty without a field that belongs to this name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind != UNICODE_PATH or len(content) != size or size < 6 or content[0] != 1:
            continue
        if int.from_bytes(content[1:5], "little") != zlib.crc32(raw):
            return ""  # renamed by a program that does not know the field
        try:
            return content[5:].decode()
        except UnicodeDecodeError:
            return ""
    return ""


def guess_code_page(names: Sequence[bytes]) -> str:
    """Return "utf-8" when all names are that, else the code page in which they read most like words."""
    joined = b"\n".join(names)
    if _decodes(joined, "utf-8"):
        return "utf-8"
    words = list(dict.fromkeys(part for name in names for part in _parts(name)))[:SCORED]
    sample = b"\n".join(words)
    pages = [page for page in CODE_PAGES if _decodes(joined, page)]
    best = max(pages, key=lambda page: (likeness(_decoded(sample, page), page), -CODE_PAGES.index(page)))
    return _rival_of(best, sample) or best


def _rival_of(page: str, sample: bytes) -> str:
    """Return a page of another script whose letters are more usual than those of Cyrillic or Greek; "" for none."""
    least = _usual_share(_decoded(sample, page), ("CYRILLIC", "GREEK"))
    if not least:
        return ""
    shares = {
        rival: _usual_share(_decoded(sample, rival), (script,))
        for rival, script in RIVALS.items()
        if _decodes(sample, rival)
    }
    found = max(shares, key=lambda rival: shares[rival], default="")
    return found if found and shares[found] > least + CLEARER else ""


def _usual_share(text: str, scripts: Collection[str]) -> float:
    """Return the share of the most used letters in a text of one of some scripts, 0 for any other text."""
    letters = [character for character in text.lower() if not character.isascii()]
    found = {_script(letter) for letter in letters}
    if (
        len(letters) < FEWEST_LETTERS
        or len(found) != 1
        or not found <= set(scripts)
        or not all(map(str.isalpha, letters))
    ):
        return 0.0
    usual = sum(letter in FREQUENT[next(iter(found))] for letter in letters)
    return 0.0 if FINAL.search(text) else max(usual / len(letters), 0.01)


def _parts(name: bytes) -> Iterable[bytes]:
    return (part for part in name.split(b"/") if not part.isascii())


def _decodes(content: bytes, page: str) -> bool:
    try:
        content.decode(page)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(content: bytes, page: str) -> str:
    return content.decode(page, "replace")


def likeness(text: str, page: str) -> float:
    """Return how much a text, read in a code page, looks like words, from -3 to 1.2.

    It is a mean over its characters that are not ASCII.
    """
    points, count = 0.0, 0
    before = " "
    for word in _words(text):
        points += _word_points(word)
    for character in text:
        if not character.isascii():
            points += _points(character, before, page)
            count += 1
        before = character
    return points / count if count else 0.0


def _words(text: str) -> list[str]:
    return "".join(character if character.isalpha() else " " for character in text).split()


def _word_points(word: str) -> float:
    """Return the penalty of a word of mixed scripts, of case inside it, or of accents all over."""
    scripts = {_script(character) for character in word}
    if len(scripts) > 1 and not scripts <= {"CJK", "HIRAGANA", "KATAKANA"}:
        return -2.0 * sum(not character.isascii() for character in word)
    if scripts == {"LATIN"}:
        accents = sum(not character.isascii() for character in word)
        if accents > 1 and accents * 2 > len(word):
            return -1.5 * accents
    if scripts <= {"LATIN", "CYRILLIC", "GREEK"} and not (
        word[1:].islower() or word.isupper() or len(word) == 1
    ):
        return -1.0 * sum(not character.isascii() for character in word)
    return 0.0


def _points(character: str, before: str, page: str) -> float:
    script = _script(character)
    if script == "CJK":
        return 1.0 if _is_common(character, page) else -0.5
    if script == "HANGUL":
        return 1.2 if character in KOREAN else 0.6
    if script in ("HIRAGANA", "KATAKANA"):
        return 1.0
    if character == "ー":
        return 1.0
    if script in ("LATIN", "CYRILLIC"):
        return 0.5 if character in "çÇ" and page == "cp852" else 1.0  # of Turkish, which cp857 is for
    if script == SCRIPT_OF.get(page):
        return (
            1.0 if script == "GREEK" else 0.9
        )  # the others' letters have no case that would tell a misreading
    if script == "GREEK":
        return 0.2
    if unicodedata.category(character)[0] in "CSN":  # controls, boxes, fractions
        return -3.0
    return -1.0


@cache
def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith(("HALFWIDTH", "FULLWIDTH", "FEMININE", "MASCULINE")):
        return "FORM"
    return name.split(" ", 1)[0].split("-", 1)[0]


def _is_common(character: str, page: str) -> bool:
    encoding, leads = LEVEL_1.get(page, ("", range(0)))
    try:
        return bool(encoding) and character.encode(encoding)[0] in leads
    except UnicodeEncodeError:
        return False
