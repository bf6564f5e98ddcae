"""Names as people write them, in any script, without what would deceive or break those who read them later.

A name goes to pages, logs, documents and files. Each of these escapes what is special to it; what no reader can see, or
what changes the order of other text, is refused here once.
"""

import unicodedata

from django.core.exceptions import ValidationError

NAME_HELP = "Any letters, digits, punctuation and emoji."
JOINERS = "\u200c\u200d"  # of Persian and Indic words, and of emoji
BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800"  # letters by category that look like a space
REFUSED = frozenset(
    ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
)  # controls, bidi marks, private use, half pairs, line ends
MOST_MARKS = 4  # accents on one letter; Vietnamese and Hebrew have three


def why_no_name(name: str) -> str:
    """Return what is wrong with a name and what to do; "" for one that can be kept."""
    hidden = next((sign for sign in name if is_refused(sign)), "")
    if hidden:
        return f"It holds a character that cannot be seen (U+{ord(hidden):04X}). Type the name anew."
    if not any(unicodedata.category(sign)[0] in "LNSP" for sign in name):
        return "Use at least one letter, digit or sign that can be seen."
    marks = 0
    for sign in unicodedata.normalize("NFC", name):
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        if marks > MOST_MARKS:
            return f"It has more than {MOST_MARKS} accents on one letter. Remove some."
    return ""


def is_refused(sign: str) -> bool:
    """Tell whether a character may stand in no name."""
    if sign in JOINERS:
        return False
    code = ord(sign)
    is_none = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE  # Unicode's noncharacters
    return is_none or sign in BLANK_LETTERS or unicodedata.category(sign) in REFUSED


def validate_name(name: str) -> None:
    """Raise `ValidationError` for a name that cannot be kept."""
    if reason := why_no_name(name):
        raise ValidationError(reason, code="name")


def without_refused(text: str) -> str:
    """Return a text without what no name may hold, with single spaces: a first idea for a name."""
    return " ".join("".join(" " if is_refused(sign) else sign for sign in text).split())
