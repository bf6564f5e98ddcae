"""In which language the texts of a data set are, as its report says it or as their script shows."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

SHARE = 0.3  # of the letters; a Russian text may name things in Latin letters
LETTERS = 5_000  # that are looked at

# A language for each script that is written in few of them, by how Unicode names its letters.
SCRIPTS = {
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "GREEK": "el",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
KANA = ("HIRAGANA", "KATAKANA")


def language_of(report: Mapping[str, Any]) -> str:
    """Return the code of the language that most texts are in; "" where the report and the script do not tell."""
    told = report.get("language")
    if isinstance(told, Mapping):
        told = told.get("code")
    if isinstance(told, str) and told:
        return told
    return _by_script(report.get("samples"))


def _by_script(samples: object) -> str:
    counts = Counter[str]()
    for place, letter in enumerate(_letters(samples)):
        if place >= LETTERS:
            break
        counts[unicodedata.name(letter, "").partition(" ")[0]] += 1
    total = counts.total()
    if any(counts[script] > 0.05 * total for script in KANA):  # Japanese has Chinese characters as well
        return "ja"
    found = next((script for script, count in counts.most_common() if script in SCRIPTS), "")
    return SCRIPTS[found] if found and counts[found] >= SHARE * total else ""


def _letters(samples: object) -> Iterator[str]:
    texts = samples.values() if isinstance(samples, Mapping) else ()
    for listed in texts:
        for text in listed if isinstance(listed, list) else ():
            yield from (letter for letter in str(text) if letter.isalpha())
